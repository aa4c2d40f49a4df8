"""What the ROC and DET figures draw, read back from them."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from evaluation.figures.roc import det_figure, roc_figure

FMR = np.array([1, 0.3, 0.05, 0.002, 0])
TMR = np.array([1, 0.98, 0.9, 0.5, 0.2])
BAND = (np.array([0.01, 0.1, 1]), (np.array([0.5, 0.8, 1]), np.array([0.7, 0.95, 1])))


def line(figure: Figure, label: str) -> tuple[np.ndarray, np.ndarray]:
    (axes,) = figure.axes
    (found,) = [drawn for drawn in axes.lines if str(drawn.get_label()).startswith(label)]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def test_the_roc_curve_has_the_rates_above_zero_and_its_thresholds() -> None:
    figure = roc_figure(FMR, TMR, [(0.71234, 0.05, 0.9)], BAND)
    x, y = line(figure, "embeddings")
    assert (x.tolist(), y.tolist()) == (FMR[:-1].tolist(), TMR[:-1].tolist())
    chance = line(figure, "chance")
    assert np.allclose(*chance)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.texts] == ["0.712"]
    (band,) = axes.collections
    assert {tuple(point) for point in band.get_paths()[0].vertices} >= {(0.1, 0.8), (0.1, 0.95)}


def test_the_det_curve_is_of_normal_quantiles_and_marks_the_equal_error_rate() -> None:
    figure = det_figure(FMR, TMR, 0.08, BAND)
    x, y = line(figure, "embeddings")
    assert x[1:4] == pytest.approx(norm.ppf(FMR[1:4]))
    assert y[1:] == pytest.approx(norm.ppf(1 - TMR[1:]))
    assert x[-1] == pytest.approx(norm.ppf(0.001))  # of no pair
    assert np.array(line(figure, "EER 8.00%")) == pytest.approx(norm.ppf(0.08))
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_xticklabels()]
    labels = dict(zip(names, axes.get_xticks(), strict=True))
    assert labels["0.1%"] == pytest.approx(norm.ppf(0.001))
    assert labels["20%"] == pytest.approx(norm.ppf(0.2))
    assert axes.get_xlim() == pytest.approx([norm.ppf(0.001) - 0.1, norm.ppf(0.3) + 0.1])


@pytest.mark.parametrize("tmr", [np.ones(3), np.array([1, 0, 0])])
def test_a_perfect_and_a_useless_curve_are_drawn(tmr: np.ndarray) -> None:
    fmr = np.array([1, 0, 0]) if tmr[-1] else np.array([1, 1, 0])
    for figure in (roc_figure(fmr, tmr, []), det_figure(fmr, tmr, 0.0 if tmr[-1] else 0.5)):
        figure.canvas.draw()
        assert np.isfinite(figure.axes[0].get_xlim()).all()
