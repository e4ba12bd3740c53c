"""Which experiment or network makes which cell of Tables 1 to 7, and which bar, curve or drawing of Figures 1 to 12.

    of_cell(4, '110/56', 'CIFAR-10 DFN-MR')
    # [Measurement('test_error', Experiment('cifar10', 'dfn-mr', 56), seeds=5)]

Errors are those of the last epoch. The paper has five runs of each network in Table 4 and one in Table 5. For the other
tables it gives no number of runs and prints no deviation, so one run is assumed.

The depths of three figures are inferred: Figure 4 has those of Figure 2 from 20 on, Figure 5 those of Tables 2 and 3,
and Figure 12, "for various depths", those of Table 4.
"""

from typing import NamedTuple

from paper import recipes

ERROR, ERROR5 = 'test_error', 'test_top5_error'
# Measures that are no column of metrics.csv: two of the network alone, and the error of eight runs as one ensemble.
PARAMETERS, DEPTH, TOGETHER = 'parameters', 'depth', 'together'

# What the tables' rows and columns stand for.
DATASETS = {'CIFAR-10': 'cifar10', 'CIFAR-100': 'cifar100', 'SVHN': 'svhn', 'C10': 'cifar10', 'C100': 'cifar100'}
NETS = {'Plain': 'plain', 'ResNet': 'resnet', 'DFN-IL': 'dfn-il', 'DFN-MR': 'dfn-mr'}
GLUONCVS = {  # rows of Table 5 whose network GluonCV has
    'ResNet [8], 110': 'gluoncv:cifar_resnet110_v1',
    'Wide ResNet [38], 28': 'gluoncv:cifar_wideresnet28_10',
}
MEASURES = {
    '#parameters': PARAMETERS,
    'Top-1 validation error': ERROR,
    'Top-5 validation error': ERROR5,
    'Top-1 training error': 'train_error',
    'Top-5 training error': 'train_top5_error',
}


class Experiment(NamedTuple):
    """What the paper trained: a data set, a network, and options off their defaults. Its runs differ in the seed."""

    dataset: str
    net: str
    depth: int | None  # None: a network of GluonCV's
    widen: int = 1
    options: tuple[tuple[str, str], ...] = ()  # such as (('path', 'RLR'),)

    @property
    def epochs(self) -> int:
        """The length of the paper's schedule (sections 6.2 and 6.5)."""
        return recipes.of_dataset(self.dataset)['epochs']

    @property
    def devices(self) -> int:
        """The number of GPUs that the paper spread a batch over (sections 6.2 and 6.5, Appendix A.1)."""
        return recipes.devices(self.dataset, **{name: value for name, value in self.options if name == 'schedule'})


class Measurement(NamedTuple):
    """What a cell, bar or curve shows of an experiment.

    measure: a column of metrics.csv, read in its last row, or one of the other measures named above.
    seeds: the number of runs in the paper.
    """

    measure: str
    experiment: Experiment
    seeds: int = 1


def of_cell(table: int, row: str, column: str) -> list[Measurement]:
    """The measurements of a cell: several that should agree, or none where no network of this repository makes it."""
    return CELLS[table](row, column)


def of_table(number: int, cells: list) -> list[Measurement]:
    """The measurements of all cells of a table; cells: from paper.cells."""
    return [measurement for cell in cells for measurement in of_cell(number, cell.row, cell.column)]


def _table1(row, column):
    depth = int(row)
    if set(column) <= set('LR'):
        return [Measurement(DEPTH, component(depth, column))]
    nets = {'DFN (t. ensemble)': 'dfn-f3', 'c. ensemble': 'ensemble'}
    return [Measurement(ERROR, Experiment('cifar10', nets[column], depth))] if column in nets else []


def _table2(row, column):
    depth, sharing = row.split()
    depth = int(depth)
    if sharing == 'W/':
        measure = ERROR if column == 'Overall' else f'{ERROR}_{column}'
        return [Measurement(measure, Experiment('cifar10', 'ensemble', depth))]
    if column == 'Overall':
        return [Measurement(TOGETHER, Experiment('cifar10', 'component', depth))]
    return [Measurement(ERROR, component(depth, column))]


def _table3(row, column):
    path = column.split()[-1]
    measure = ERROR if path == 'Overall' else f'{ERROR}_without_{path}'
    return [Measurement(measure, Experiment('cifar10', 'ensemble', int(row)))]


def _table4(row, column):
    deeper, depth = map(int, row.split('/'))
    depths = {net: depth if net.startswith('dfn') else deeper for net in NETS.values()}
    if column == 'Params.':
        return [Measurement(PARAMETERS, Experiment('cifar10', net, depths[net])) for net in depths]
    dataset, title = column.split()
    net = NETS[title]
    return [Measurement(ERROR, Experiment(DATASETS[dataset], net, depths[net]), seeds=5)]


def _table5(row, column):
    if row in GLUONCVS:
        experiment = Experiment(DATASETS.get(column, ''), GLUONCVS[row], None)
        return [Measurement(ERROR, experiment)] if column in DATASETS else []
    ours = {'DFN-MR1': (56, 1), 'DFN-MR2': (32, 4), 'DFN-MR3': (50, 4)}.get(row.split()[0])
    if not ours:
        return []
    experiment = Experiment(DATASETS.get(column, 'cifar10'), 'dfn-mr', *ours)
    return [Measurement({'Depth': DEPTH, 'Params': PARAMETERS}.get(column, ERROR), experiment)]


def _table6(row, column):
    network = {'ResNet-101': ('resnet', 101), 'DFN-MR': ('dfn-mr', 44)}.get(column)
    if column == 'ResNet-101 [8]' and MEASURES[row] == PARAMETERS:
        network = ('resnet', 101)
    return [Measurement(MEASURES[row], Experiment('imagenet', *network))] if network else []


def _table7(row, column):
    net = {'ResNet-50': 'resnet', 'DFN1': 'dfn1', 'DFN2': 'dfn2'}.get(column)
    if not net:
        return []
    return [Measurement(MEASURES[row], Experiment('imagenet', net, 50, options=(('schedule', 'appendix'),)))]


CELLS = {1: _table1, 2: _table2, 3: _table3, 4: _table4, 5: _table5, 6: _table6, 7: _table7}


def component(depth: int | None, path: str) -> Experiment:
    """One component network of N_f3, trained by itself."""
    return Experiment('cifar10', 'component', depth, options=(('path', path),))


class Series(NamedTuple):
    """The bars of one color: a measure of one network at several depths."""

    title: str
    net: str
    options: tuple[tuple[str, str], ...] = ()
    measure: str = ERROR

    def at(self, dataset: str, depth: int) -> Measurement:
        """The measurement of the bar at a depth."""
        return Measurement(self.measure, Experiment(dataset, self.net, depth, options=self.options))


class Bars(NamedTuple):
    """A figure of bars in groups of equal depth, on CIFAR-10."""

    title: str
    depths: tuple[int, ...]
    series: tuple[Series, ...]


BARS = {
    2: Bars(
        'plain network, its fused net and its ensemble',
        (14, 20, 26, 38, 50, 56, 62, 74, 98, 110),
        (Series('Plain', 'plain'), Series('DFN (N_f3)', 'dfn-f3'), Series('Ensemble', 'ensemble')),
    ),
    4: Bars(
        'fused nets of growing ensemble size',
        (20, 26, 38, 50, 56, 62, 74, 98, 110),
        (Series('N_f3', 'dfn-f3'), Series('N_f6', 'dfn-f6'), Series('ResNet', 'resnet')),
    ),
    5: Bars(
        'with and without the deepest component network',
        (26, 38, 50, 62, 74, 98, 110),
        (
            Series('Ensemble-8', 'ensemble'),
            Series('Ensemble-7', 'ensemble', (('components', '7'),)),
            Series('Ensemble-7 w/o retraining', 'ensemble', measure=f'{ERROR}_without_RRR'),
        ),
    ),
}


class Curves(NamedTuple):
    """A figure of curves over the epochs.

    panels: (title, experiments), a row of axes each.
    axes: (label, columns of metrics.csv) for each axis of a row.
    """

    title: str
    panels: tuple
    axes: tuple


CURVES = {
    8: Curves(
        'ResNet-101 and DFN-MR on ImageNet, training and validation error, top-1 and top-5',
        (('ImageNet', (Experiment('imagenet', 'resnet', 101), Experiment('imagenet', 'dfn-mr', 44))),),
        (('top-1 error (%)', ('train_error', ERROR)), ('top-5 error (%)', ('train_top5_error', ERROR5))),
    ),
    12: Curves(
        'training loss and test error of ResNet and DFN-MR',
        tuple(
            (
                f'{title}, {2 * depth - 2}/{depth}',
                (Experiment(dataset, 'resnet', 2 * depth - 2), Experiment(dataset, 'dfn-mr', depth)),
            )
            for title, dataset in (('CIFAR-10', 'cifar10'), ('CIFAR-100', 'cifar100'), ('SVHN', 'svhn'))
            for depth in (14, 20, 26, 32, 38, 50, 56, 98)
        ),
        (('training loss', ('train_loss',)), ('test error (%)', (ERROR,))),
    ),
}

# Figures that show no run: distributions of the depths of component networks, drawings of networks, and units. The text
# does not say how deep the networks of Figures 1, 3 and 7 are.
DISTRIBUTIONS = {11: tuple(Experiment('imagenet', net, 50) for net in ('resnet', 'dfn1', 'dfn2'))}
DRAWINGS = {
    1: tuple(Experiment('cifar10', net, 8) for net in ('dfn-f3', 'tandem', 'ensemble')),
    3: tuple(Experiment('cifar10', net, 14) for net in ('plain', 'dfn-f3', 'dfn-f6')),
    7: (Experiment('cifar10', 'resnet', 26), Experiment('cifar10', 'dfn-il', 14), Experiment('cifar10', 'dfn-mr', 14)),
    9: (Experiment('imagenet', 'resnet', 101), Experiment('imagenet', 'dfn-mr', 44)),
    10: DISTRIBUTIONS[11],
}
UNITS = 6
FIGURES = range(1, 13)


def of_figure(number: int) -> list[Measurement]:
    """The measurements of a figure's bars or curves; none for a figure that shows networks alone."""
    if number in BARS:
        return [series.at('cifar10', depth) for depth in BARS[number].depths for series in BARS[number].series]
    if number in CURVES:
        return [
            Measurement(column, experiment)
            for _, experiments in CURVES[number].panels
            for experiment in experiments
            for _, columns in CURVES[number].axes
            for column in columns
        ]
    return []
