"""Which runs can be one ensemble."""

import pytest

from common.errors import UserError
from common.mxnet import mx
import data
from paper import ensembles

SOFTMAX = (mx.sym.SoftmaxOutput(mx.sym.Variable('data')), {}, {})


def run(dataset='cifar10', **about):
    """A run as `check` takes it, with a `dataset` in its config.json only where something is said of it."""
    config: dict = {'options': {'dataset': dataset, 'depth': 26}}
    if about:
        split = 'val' if dataset == 'imagenet' else 'test'
        config['dataset'] = {'splits': {split: {'content_sha256': 'same'}}, **about}
    return 'title', config, SOFTMAX


@pytest.mark.parametrize('dataset', ['cifar10', 'imagenet'])
def test_an_earlier_run_has_the_normalization_of_its_data_set(dataset):
    """Earlier versions did not write mean and std down; they are lists in JSON."""
    traits = data.IMAGENET if dataset == 'imagenet' else data.SOURCES[dataset]
    said = run(dataset, mean=list(traits.mean), std=list(traits.std))
    ensembles.check({'earlier': run(dataset), 'now': said})
    brighter = run(dataset, mean=[mean + 1 for mean in traits.mean], std=list(traits.std))
    for runs in ({'earlier': run(dataset), 'other': brighter}, {'now': said, 'other': brighter}):
        with pytest.raises(UserError, match='normalize their images differently'):
            ensembles.check(runs)
