"""Which runs, or networks, make which cell of Tables 1 to 7 and which bar, curve or drawing of Figures 1 to 12.

    runs.of_cell(4, '110/56', 'CIFAR-10 DFN-MR')     # [Makes('test_error', Run('cifar10', 'dfn-mr', 56), seeds=5)]

Errors are those of the last epoch. Table 4 says that it has five runs of each network and Table 5 that it has one; of
the others the paper says nothing, and prints no deviation: one run. Inferences are the depths of Figures 4 (those of
Figure 2 from 20 on) and 5 (those of Tables 2 and 3), and that Figure 12, "for various depths", has those of Table 4.
"""
from typing import NamedTuple

ERROR, ERROR5 = 'test_error', 'test_top5_error'
# Measures that are no column of metrics.csv: of the network alone, and of eight runs taken as one ensemble.
PARAMETERS, DEPTH, TOGETHER = 'parameters', 'depth', 'together'

DATASETS = {'CIFAR-10': 'cifar10', 'CIFAR-100': 'cifar100', 'SVHN': 'svhn', 'C10': 'cifar10', 'C100': 'cifar100'}
NETS = {'Plain': 'plain', 'ResNet': 'resnet', 'DFN-IL': 'dfn-il', 'DFN-MR': 'dfn-mr'}
MEASURES = {'#parameters': PARAMETERS, 'Top-1 validation error': ERROR, 'Top-5 validation error': ERROR5,
            'Top-1 training error': 'train_error', 'Top-5 training error': 'train_top5_error'}


class Run(NamedTuple):
    """A run but for its seed: a data set, a network, and the options that it needs to be the paper's, as text."""

    dataset: str
    net: str
    depth: int
    widen: int = 1
    options: tuple = ()  # pairs such as ('path', 'RLR')

    @property
    def epochs(self):
        """Of the paper's schedule (sections 6.2 and 6.5)."""
        return {'svhn': 40, 'imagenet': 100}.get(self.dataset, 400)

    @property
    def devices(self):
        """GPUs that the paper spread a batch over (sections 6.2 and 6.5, Appendix A.1)."""
        if self.dataset == 'imagenet':
            return 4 if ('schedule', 'appendix') in self.options else 8
        return 2


class Makes(NamedTuple):
    """What is taken of a run: a column of the last row of its metrics.csv, or another measure named above."""

    measure: str
    run: Run
    seeds: int = 1


def of_cell(table, row, column):
    """The Makes of a cell; several where they are to agree, none where no run or network of this repository does."""
    return CELLS[table](row, column)


def _table1(row, column):
    depth = int(row)
    if set(column) <= set('LR'):
        return [Makes(DEPTH, component(depth, column))]
    return {'DFN (t. ensemble)': [Makes(ERROR, Run('cifar10', 'dfn-f3', depth))],
            'c. ensemble': [Makes(ERROR, Run('cifar10', 'ensemble', depth))]}.get(column, [])


def _table2(row, column):
    depth, sharing = row.split()
    depth = int(depth)
    if sharing == 'W/O':
        return [Makes(TOGETHER, Run('cifar10', 'component', depth)) if column == 'Overall' else
                Makes(ERROR, component(depth, column))]
    return [Makes(ERROR if column == 'Overall' else '%s_%s' % (ERROR, column), Run('cifar10', 'ensemble', depth))]


def _table3(row, column):
    path = column.split()[-1]
    return [Makes(ERROR if path == 'Overall' else '%s_without_%s' % (ERROR, path),
                  Run('cifar10', 'ensemble', int(row)))]


def _table4(row, column):
    deeper, depth = map(int, row.split('/'))
    if column == 'Params.':
        return [Makes(PARAMETERS, Run('cifar10', net, depth if net.startswith('dfn') else deeper))
                for net in NETS.values()]
    dataset, net = column.split()
    return [Makes(ERROR, Run(DATASETS[dataset], NETS[net], depth if net.startswith('DFN') else deeper), seeds=5)]


def _table5(row, column):
    ours = {'DFN-MR1': (56, 1), 'DFN-MR2': (32, 4), 'DFN-MR3': (50, 4)}.get(row.split()[0])
    if not ours:
        return []
    run = Run(DATASETS.get(column, 'cifar10'), 'dfn-mr', *ours)
    return [Makes({'Depth': DEPTH, 'Params': PARAMETERS}.get(column, ERROR), run)]


def _table6(row, column):
    net = {'ResNet-101': ('resnet', 101), 'DFN-MR': ('dfn-mr', 44)}.get(column)
    if column == 'ResNet-101 [8]' and MEASURES[row] == PARAMETERS:
        net = ('resnet', 101)
    return [Makes(MEASURES[row], Run('imagenet', *net))] if net else []


def _table7(row, column):
    net = {'ResNet-50': 'resnet', 'DFN1': 'dfn1', 'DFN2': 'dfn2'}.get(column)
    return [Makes(MEASURES[row], Run('imagenet', net, 50, options=(('schedule', 'appendix'),)))] if net else []


CELLS = {1: _table1, 2: _table2, 3: _table3, 4: _table4, 5: _table5, 6: _table6, 7: _table7}


def component(depth, path):
    """The Run of one component network of N_f3 by itself."""
    return Run('cifar10', 'component', depth, options=(('path', path),))


class Series(NamedTuple):
    """Bars of one colour: a measure of the runs of one network."""

    title: str
    net: str
    options: tuple = ()
    measure: str = ERROR

    def makes(self, dataset, depth):
        """The Makes of the bar at a depth."""
        return Makes(self.measure, Run(dataset, self.net, depth, options=self.options))


class Bars(NamedTuple):
    """A figure of bars in groups of equal depth, on CIFAR-10."""

    title: str
    depths: tuple
    series: tuple


BARS = {
    2: Bars('plain network, its fused net and its ensemble',
            (14, 20, 26, 38, 50, 56, 62, 74, 98, 110),
            (Series('Plain', 'plain'), Series('DFN (N_f3)', 'dfn-f3'), Series('Ensemble', 'ensemble'))),
    4: Bars('fused nets of growing ensemble size',
            (20, 26, 38, 50, 56, 62, 74, 98, 110),
            (Series('N_f3', 'dfn-f3'), Series('N_f6', 'dfn-f6'), Series('ResNet', 'resnet'))),
    5: Bars('with and without the deepest component network',
            (26, 38, 50, 62, 74, 98, 110),
            (Series('Ensemble-8', 'ensemble'), Series('Ensemble-7', 'ensemble', (('components', '7'),)),
             Series('Ensemble-7 w/o retraining', 'ensemble', measure=ERROR + '_without_RRR'))),
}


class Curves(NamedTuple):
    """A figure of curves over the epochs.

    panels: (title, runs) for each data set; axes: (what is shown, columns of metrics.csv) for each axis of a panel.
    """

    title: str
    panels: tuple
    axes: tuple


CURVES = {
    8: Curves('ResNet-101 and DFN-MR on ImageNet, training and validation error, top-1 and top-5',
              (('ImageNet', (Run('imagenet', 'resnet', 101), Run('imagenet', 'dfn-mr', 44))),),
              (('top-1 error (%)', ('train_error', ERROR)), ('top-5 error (%)', ('train_top5_error', ERROR5)))),
    12: Curves('training loss and test error of ResNet and DFN-MR',
               tuple(('%s, %d/%d' % (title, 2 * depth - 2, depth),
                      (Run(dataset, 'resnet', 2 * depth - 2), Run(dataset, 'dfn-mr', depth)))
                     for title, dataset in (('CIFAR-10', 'cifar10'), ('CIFAR-100', 'cifar100'), ('SVHN', 'svhn'))
                     for depth in (14, 20, 26, 32, 38, 50, 56, 98)),
               (('training loss', ('train_loss',)), ('test error (%)', (ERROR,)))),
}

# Figures of networks alone. 11: the distributions of the depths of their components. The others show the networks;
# the text does not say how deep those of Figures 1, 3 and 7 are. Figure 6 shows units.
DISTRIBUTIONS = {11: tuple(Run('imagenet', net, 50) for net in ('resnet', 'dfn1', 'dfn2'))}
NETWORKS = {
    1: tuple(Run('cifar10', net, 8) for net in ('dfn-f3', 'tandem', 'ensemble')),
    3: tuple(Run('cifar10', net, 14) for net in ('plain', 'dfn-f3', 'dfn-f6')),
    7: (Run('cifar10', 'resnet', 26), Run('cifar10', 'dfn-il', 14), Run('cifar10', 'dfn-mr', 14)),
    9: (Run('imagenet', 'resnet', 101), Run('imagenet', 'dfn-mr', 44)),
    10: DISTRIBUTIONS[11],
}
UNITS = 6
FIGURES = range(1, 13)


def of_table(number, cells):
    """All Makes of a table, in the order of its cells; cells: of paper.cells."""
    return [makes for cell in cells for makes in of_cell(number, cell.row, cell.column)]


def of_figure(number):
    """All Makes of a figure's runs; none of a figure that shows networks alone."""
    if number in BARS:
        return [series.makes('cifar10', depth) for depth in BARS[number].depths for series in BARS[number].series]
    if number in CURVES:
        return [Makes(column, run) for _, runs in CURVES[number].panels for run in runs
                for _, columns in CURVES[number].axes for column in columns]
    return []
