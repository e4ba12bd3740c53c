"""Growth: the series, their exponents, and how they are written and drawn."""

import pytest

from benchmarks import scaling
import symbols

POINTS = {'width': [(1, 0.5), (2, 2.0), (4, 8.0)], 'depth, in layers': [(14, 0.14), (28, 0.28)]}


def test_the_exponent_is_the_slope_on_log_axes():
    assert scaling.fit_power(POINTS['width']) == pytest.approx((2, 0.5))
    assert scaling.fit_power(POINTS['depth, in layers']) == pytest.approx((1, 0.01))


def test_growth_is_written_as_csv(tmp_path):
    scaling.write_growth(POINTS, tmp_path / 'growth.csv')
    assert (tmp_path / 'growth.csv').read_text() == (
        'what,value,seconds\nwidth,1,0.5\nwidth,2,2\nwidth,4,8\n'
        '"depth, in layers",14,0.14\n"depth, in layers",28,0.28\n'
    )


def test_growth_is_drawn_in_a_panel_for_each_series(tmp_path):
    figure = scaling.draw_growth(POINTS)
    assert [panel.get_title() for panel in figure.axes] == ['step ∝ x^2.00', 'step ∝ x^1.00']
    assert [panel.get_xlabel() for panel in figure.axes] == list(POINTS)
    figure.savefig(tmp_path / 'growth.png')
    assert (tmp_path / 'growth.png').stat().st_size > 1000


@pytest.mark.parametrize('what', scaling.SERIES)
def test_a_series_is_of_networks_that_exist(what):
    for options in scaling.SERIES[what].values():
        symbols.get_symbol(**{name: value for name, value in options.items() if name != 'batch'})
