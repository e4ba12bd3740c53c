"""The paper's recipes: the defaults of the training scripts, and the devices that the paper used."""

CIFAR = dict(net='dfn-mr', depth=56, dataset='cifar10', epochs=400, batch_size=64, schedule='fractions')  # section 6.2
SVHN = dict(net='dfn-mr', depth=56, dataset='svhn', epochs=40, batch_size=64, schedule='fractions')  # section 6.2
IMAGENET = dict(net='dfn-mr', depth=44, dataset='imagenet', epochs=100, batch_size=256, schedule='main')  # section 6.5
OF_DATASET = {'svhn': SVHN, 'imagenet': IMAGENET}  # CIFAR for all others


def of_dataset(name: str) -> dict:
    """The recipe for a data set: {option: value}."""
    return {**OF_DATASET.get(name, CIFAR), 'dataset': name}


def script(dataset: str) -> str:
    """The training script of a data set."""
    return f'train_{dataset if dataset in OF_DATASET else "cifar"}.py'


def devices(dataset: str, schedule: str = 'main') -> int:
    """The number of GPUs that the paper spread a batch over (sections 6.2 and 6.5, Appendix A.1)."""
    if dataset == 'imagenet':
        return 4 if schedule == 'appendix' else 8
    return 2
