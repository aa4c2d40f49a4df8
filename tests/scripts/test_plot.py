"""The figures, read back: every point, fit, number and bar against plain arithmetic."""

from pathlib import Path
from statistics import correlation, linear_regression, mean, stdev

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from reporting.figures.correlations import correlations
from reporting.figures.critical_difference import critical_difference, groups
from reporting.figures.means import means
from reporting.figures.method_styles import MethodStyles, method_styles
from reporting.figures.ranking import ranking
from reporting.figures.recall_rho import recall_rho
from reporting.figures.relations import relations
from reporting.readers.run_folders import read_folders
from reporting.statistics import Ranks
from scripts.plot import file_name, main
from tests.run_folders import write_run

RECALLS = {
    "margin": [0.60, 0.62],
    "triplet": [0.58, 0.57],
    "npair": [0.55, 0.56],
    "r_margin": [0.65, 0.64],
}


def write_runs(root: Path, datasets: tuple[str, ...] = ("cub200", "sop")) -> Path:
    for dataset in datasets:
        for number, (method, values) in enumerate(RECALLS.items()):
            for seed, value in enumerate(values):
                measured = {
                    "test/recall@1": value,
                    "test/nmi": 1 - value,
                    "train/rho_spectrum@2": number + seed / 10,
                    "test/rho_spectrum@2": 99.0,
                }
                write_run(root, f"{dataset}/{method}_{number:08x}/seed{seed}", measured)
    return root


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    return means(list(read_folders(write_runs(tmp_path))), "oracle")


def styles_of(table: pd.DataFrame) -> MethodStyles:
    return method_styles(table.loc["cub200"]["test/recall@1", "mean"])


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_means_and_deviations_over_seeds(table: pd.DataFrame) -> None:
    row = table.loc["cub200", "margin"]
    assert row["test/recall@1", "mean"] == pytest.approx(0.61)
    assert row["test/recall@1", "std"] == pytest.approx(stdev(RECALLS["margin"]))


def test_the_fit_and_its_correlation_leave_out_the_regularised(table: pd.DataFrame) -> None:
    figure = relations(table)
    x = [0.05, 1.05, 2.05]
    y = [100 * mean(RECALLS[name]) for name in ("margin", "triplet", "npair")]
    slope, offset = linear_regression(x, y)
    for axes, dataset in zip(figure.axes, ("CUB200-2011", "SOP"), strict=True):
        assert axes.get_title(loc="left") == f"r = {correlation(x, y):+.2f}"
        assert axes.get_ylabel().startswith(dataset)
        assert axes.get_xlabel() == "ρ (train)", "the training split, though test was measured too"
        (fit,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        expected = [slope * end + offset for end in (0.05, 2.05)]
        assert np.allclose(np.asarray(fit.get_ydata(), float), expected)
    points = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "^")]
    assert [len(np.asarray(line.get_xdata())) for line in points] == [3, 1]


def test_a_method_without_a_value_does_not_spoil_the_fit(tmp_path: Path) -> None:
    write_runs(tmp_path)
    write_run(tmp_path, "cub200/collapsed_00000009/seed0", {"test/recall@1": 0.01})
    figure = relations(means(list(read_folders(tmp_path)), "oracle"))
    assert titles(figure)[0] == titles(figure)[1]


def test_two_methods_are_no_fit(tmp_path: Path) -> None:
    values = {"test/recall@1": 0.5, "test/dists@ratio": 0.1}
    write_run(tmp_path, "cub200/margin_00000000/seed0", values)
    figure = relations(means(list(read_folders(tmp_path)), "last"))
    assert titles(figure) == ["too few methods for a fit"]
    assert figure.axes[0].get_xlabel() == "π ratio"


def test_correlations_are_over_methods(table: pd.DataFrame) -> None:
    figure = correlations(table)
    assert titles(figure) == ["CUB200-2011", "SOP"]
    image = np.asarray(figure.axes[0].images[0].get_array())
    assert np.allclose(image, [[1, -1], [-1, 1]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "-1.00", "-1.00", "1.00"]


def test_correlations_of_too_few_methods_are_no_empty_picture(table: pd.DataFrame) -> None:
    few = table[table.index.get_level_values("method").isin(["margin", "npair"])]
    with pytest.raises(ValueError, match=r"^a correlation needs three methods"):
        correlations(few)


def test_every_method_is_named_once_and_a_legend_tells_the_regularised(table: pd.DataFrame) -> None:
    axes = recall_rho(table, "cub200", styles_of(table)).axes[0]
    names = [text.get_text() for text in axes.texts if text.get_text()]
    assert sorted(names) == sorted(RECALLS)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "ρ-regularised"]


def test_bars_are_ranked_best_on_top(table: pd.DataFrame) -> None:
    axes = ranking(table, "cub200", styles_of(table)).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["npair", "triplet", "margin", "r_margin"], "from below"
    assert [text.get_text() for text in axes.texts] == ["55.5", "57.5", "61.0", "64.5"]
    assert "from 5" in axes.get_xlabel(), "a cut axis says so"


def test_bars_join_what_is_not_significantly_different() -> None:
    ranks = Ranks(pd.Series({"a": 1.0, "b": 1.8, "c": 2.5, "d": 4.7}), 10, 0.01, 1.0)
    assert groups(ranks) == [(1.0, 1.8), (1.8, 2.5)]
    alike = Ranks(pd.Series({"a": 1.4, "b": 1.5, "c": 1.6}), 10, 0.9, 1.0)
    assert groups(alike) == [(1.4, 1.6)], "no bar inside another"


def test_the_critical_difference_is_drawn_to_scale() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(30, 4)) + np.array([0, 0, 0, 5]), columns=list("abcd"))
    figure = critical_difference(table, "Recall@1")
    axes = figure.axes[0]
    widths = [np.ptp(np.asarray(line.get_xdata(), float)) for line in axes.lines]
    length = 2.569 * (4 * 5 / (6 * 30)) ** 0.5  # Demšar 2006, Table 5
    assert any(width == pytest.approx(length, abs=1e-3) for width in widths)
    assert f"critical difference {length:.2f}" in [text.get_text() for text in axes.texts]
    assert " d 1.00 " in [text.get_text() for text in axes.texts]


def test_a_critical_difference_that_is_cut_off_says_so() -> None:
    """Two datasets tell nothing apart."""
    table = pd.DataFrame([[0.6, 0.5, 0.4], [0.7, 0.6, 0.5]], columns=list("abc"))
    axes = critical_difference(table, "Recall@1").axes[0]
    length = 2.343 * (3 * 4 / (6 * 2)) ** 0.5  # Demšar 2006, Table 5
    told = f"critical difference {length:.2f}, longer than the axis"
    assert told in [text.get_text() for text in axes.texts]


def test_every_figure_is_kept_as_pdf_and_png(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_runs(tmp_path / "runs")
    main([str(root), "--out", str(tmp_path / "out"), "--reading", "oracle"])
    names = [
        "metric_relations",
        "metric_correlations",
        "critical_difference",
        "performance_profile",
    ]
    names += ["recall_rho_cub200", "recall_rho_sop", "ranking_cub200", "ranking_sop"]
    expected = {f"{name}.{kind}" for name in names for kind in ("pdf", "png")}
    assert {file.name for file in (tmp_path / "out").iterdir()} == expected
    assert capsys.readouterr().out.count("left out: no run measured test/") == 4  # of one epoch


def test_a_figure_without_numbers_is_left_out_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", "cub200/margin_00000000/seed0", {"test/recall@1": 0.5})
    main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    told = capsys.readouterr().out
    assert "curves_recall@1_cub200 left out: no run measured test/recall@1 at two epochs" in told
    assert "metric_relations left out: no run measured any of dists@intra" in told
    assert "critical_difference left out: ranks need two datasets" in told
    assert (tmp_path / "out" / "ranking_cub200.pdf").exists()
    with pytest.raises(SystemExit, match="no finished run has test/recall@1 in the"):
        main([str(tmp_path / "runs"), "--out", str(tmp_path / "out"), "--reading", "selected"])


def test_a_dataset_with_two_methods_has_no_empty_panel(tmp_path: Path) -> None:
    """A user trained four methods on one dataset and two of them on another."""
    write_runs(tmp_path, ("cub200",))
    for number, method in enumerate(list(RECALLS)[:2]):
        values = {"test/recall@1": 0.5 + number / 10, "test/nmi": 0.5 - number / 10}
        write_run(tmp_path, f"sop/{method}_{number:08x}/seed0", values)
    figure = correlations(means(list(read_folders(tmp_path)), "oracle"))
    assert titles(figure) == ["CUB200-2011"]


def test_two_methods_have_no_friedman_test() -> None:
    """A user compares two methods on three datasets, for which the test does not exist."""
    values = pd.DataFrame({"a": [0.5, 0.6, 0.7], "b": [0.4, 0.7, 0.6]}, index=["x", "y", "z"])
    figure = critical_difference(values, "Recall@1")
    assert titles(figure) == ["Mean rank in Recall@1 over 3 datasets (1 is best), no Friedman test"]


def test_a_figure_stays_in_its_folder() -> None:
    """A user plots the W&B project of somebody who calls a dataset `../x`."""
    assert file_name("ranking_../../x") == "ranking_.._.._x"
    assert file_name("recall_rho_cub200") == "recall_rho_cub200"
