"""Several networks as the members of one ensemble, and parts of an ensemble."""
from common.errors import UserError
from training.replicas import Predictor


class Members:
    """Networks evaluated side by side; models: [(symbol, parameters, statistics)], the rest as in Predictor."""

    def __init__(self, models, devices, image_shape):
        self.predictors = [Predictor(symbol, devices, image_shape, parameters, statistics)
                           for symbol, parameters, statistics in models]

    def predict(self, images):
        """The outputs of all networks for images (n, channels, height, width): a list of (n, classes) arrays."""
        return [output for predictor in self.predictors for output in predictor.predict(images)]


def check_together(runs):
    """UserError unless runs can be one ensemble: one data set, one depth, the same test images, one output each.

    runs: {run directory: (title, config, model)}.
    """
    (first, (_, expected, _)), *_ = runs.items()
    if len(runs) == 1:
        raise UserError('%s alone is no ensemble: name two runs or more' % first)
    for run_dir, (_, config, (symbol, _, _)) in runs.items():
        for option in ('dataset', 'depth'):
            if config['options'][option] != expected['options'][option]:
                raise UserError('%s has %s %s, %s has %s: they cannot be one ensemble' % (
                    run_dir, option, config['options'][option], first, expected['options'][option]))
        if images_tested_on(config) != images_tested_on(expected):
            raise UserError('%s and %s were tested on different images: they cannot be one ensemble' % (
                run_dir, first))
        if len(symbol.list_outputs()) > 1:
            raise UserError('%s is an ensemble itself: name runs with one output' % run_dir)


def images_tested_on(config):
    """SHA-256 of the images that a run was tested on."""
    dataset = config['dataset']
    return dataset['splits'][dataset.get('tested_on', 'test')]['content_sha256']


def names_together(configs):
    """Names of runs {run directory: config} in one ensemble: component networks' paths, else the directories."""
    paths = [config['options'].get('path') for config in configs.values()]
    return paths if None not in paths and len(set(paths)) == len(paths) else list(configs)


def all_but(texts, names):
    """For each text, comma-separated names, the indices of the members it does not name; UserError where none is."""
    rest = []
    for text in texts:
        dropped = text.split(',')
        for name in dropped:
            if name not in names:
                raise UserError('--without %s: there is no member %s; there are %s' % (text, name, ', '.join(names)))
        rest.append([index for index, name in enumerate(names) if name not in dropped])
        if not rest[-1]:
            raise UserError('--without %s leaves no member' % text)
    return rest
