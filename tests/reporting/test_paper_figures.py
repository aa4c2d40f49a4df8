"""Figures that a paper prints: names keep apart, and each line has a style of its own."""

from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from evaluation.figures.style import COLOURS, LIGHT_GREY, ONE_COLUMN, SHAPES, TWO_COLUMNS, save
from reporting.figures.curves import curves, history
from reporting.figures.means import means
from reporting.figures.method_styles import BEST, MethodStyles, method_styles
from reporting.figures.placement import moved_apart
from reporting.figures.ranking import ranking
from reporting.figures.recall_rho import recall_rho
from reporting.readers.run_folders import read_folders
from scripts.plot import main
from tests.run_folders import write_run

EPOCHS = 3


def write_methods(root: Path, number: int, seeds: int = 1) -> Path:
    """Methods whose last values are close to each other, as those of a benchmark are."""
    rng = np.random.default_rng(number)
    for method in range(number):
        end = 0.8 - 0.1 * rng.beta(1, 5)
        rho = float(rng.uniform(0.6, 0.9))
        for seed in range(seeds):
            values = [end - 0.2 / epoch + 0.01 * seed for epoch in range(1, EPOCHS + 1)]
            evaluations = [{"test/recall@1": v, "test/rho_spectrum@2": rho} for v in values]
            write_run(root, f"cub200/method_{method}_{method:08x}/seed{seed}", *evaluations)
    return root


def read(root: Path) -> tuple[pd.DataFrame, pd.DataFrame, MethodStyles]:
    runs = list(read_folders(root))
    table = means(runs, "last")
    return history(runs), table, method_styles(table.loc["cub200"]["test/recall@1", "mean"])


def boxes(figure: Figure) -> dict[str, Bbox]:
    """Every text of a figure that is drawn, and where, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw(renderer)
    (axes,) = figure.axes
    texts = [*axes.texts, *(t for t in axes.get_children() if isinstance(t, Text))]
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        texts += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
        texts.append(axis.label)
    shown = [t for t in dict.fromkeys(texts) if t.get_visible() and t.get_text().strip()]
    return {f"{t.get_text()} ({n})": t.get_window_extent(renderer) for n, t in enumerate(shown)}


def check_names(figure: Figure) -> None:
    """No two texts overlap by a pixel, and none leaves the figure."""
    found = boxes(figure)
    for (one, first), (other, second) in combinations(found.items(), 2):
        both = Bbox.intersection(first, second)
        assert both is None or min(both.width, both.height) < 1, f"{one} covers {other}"
    for name, box in found.items():
        inside = Bbox.intersection(box, figure.bbox)
        assert inside is not None, name
        assert inside.width * inside.height == pytest.approx(box.width * box.height), name


def names_in(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.axes[0].texts if t.get_text().startswith("method_")]


@pytest.mark.parametrize("width", [ONE_COLUMN, TWO_COLUMNS])
@pytest.mark.parametrize("number", [1, 2, 7, 15, 55])
def test_names_keep_apart_in_every_figure(tmp_path: Path, number: int, width: float) -> None:
    measured, table, own = read(write_methods(tmp_path, number))
    best = list(own)[:BEST]
    drawn = curves(measured, "cub200", "test/recall@1", own, width)
    check_names(drawn)
    assert sorted(names_in(drawn)) == sorted(best)
    drawn = recall_rho(table, "cub200", own, width)
    check_names(drawn)
    assert set(best) <= set(names_in(drawn)), "the best are all named"
    check_names(ranking(table, "cub200", own, width))
    assert drawn.get_size_inches()[0] == width


def test_names_in_the_scatter_stay_inside_the_axes(tmp_path: Path) -> None:
    _, table, own = read(write_methods(tmp_path, 15))
    figure = recall_rho(table, "cub200", own)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for text in axes.texts:
        box = text.get_window_extent()
        assert axes.bbox.contains(*box.min), text.get_text()
        assert axes.bbox.contains(*box.max), text.get_text()


@pytest.mark.parametrize(("number", "best"), [(5, BEST), (7, BEST), (55, BEST), (55, 55)])
def test_each_line_has_its_own_colour_and_marker(tmp_path: Path, number: int, best: int) -> None:
    measured, table, _ = read(write_methods(tmp_path, number))
    own = method_styles(table.loc["cub200"]["test/recall@1", "mean"], best=best)
    figure = curves(measured, "cub200", "test/recall@1", own)
    lines = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")]
    assert len(lines) == number
    shown = [(line.get_color(), line.get_marker()) for line in lines if line.get_marker()]
    assert len(set(shown)) == len(shown) == min(number, best)
    assert [line.get_color() for line in lines[best:]] == [LIGHT_GREY] * (number - len(shown))
    ends = [float(np.asarray(line.get_ydata(), float)[-1]) for line in lines]
    assert min(ends[:best]) >= max(ends[best:], default=0), "the best stand out"


def test_the_best_differ_in_shape_and_in_colour() -> None:
    own = list(method_styles(pd.Series({f"{n}": -n for n in range(20)}, dtype=float)).values())
    assert [style.colour for style in own[:BEST]] == list(COLOURS)
    assert [style.marker for style in own[:BEST]] == list(SHAPES[:BEST])
    assert not any(style.highlighted for style in own[BEST:])


def test_a_method_without_a_score_comes_last() -> None:
    own = method_styles(pd.Series({"a": np.nan, "b": 0.1, "c": 0.2}), names={"c": "C (ours)"})
    assert list(own) == ["c", "b", "a"]
    assert own["c"].name == "C (ours)"


def test_a_curve_is_mean_and_deviation_over_seeds(tmp_path: Path) -> None:
    values = [[0.4, 0.5], [0.5, 0.7], [0.6, 0.6]]
    for seed, own in enumerate(values):
        write_run(
            tmp_path, f"cub200/margin_00000000/seed{seed}", *({"test/recall@1": v} for v in own)
        )
    measured, _, own_styles = read(tmp_path)
    (axes,) = curves(measured, "cub200", "test/recall@1", own_styles).axes
    line = axes.lines[0]
    assert np.asarray(line.get_xdata()).tolist() == [1, 2]
    columns = list(zip(*values, strict=True))
    assert np.allclose(np.asarray(line.get_ydata(), float), [100 * mean(c) for c in columns])
    corners = axes.collections[0].get_paths()[0].vertices
    for epoch, column in enumerate(columns, start=1):
        band = corners[corners[:, 0] == epoch, 1]
        expected = [100 * (mean(column) + sign * stdev(column)) for sign in (-1, 1)]
        assert np.allclose([band.min(), band.max()], expected)
    assert axes.get_ylabel() == "Recall@1 in percent"


def test_one_epoch_is_no_curve(tmp_path: Path) -> None:
    write_run(tmp_path, "cub200/margin_00000000/seed0", {"test/recall@1": 0.5})
    measured, _, own = read(tmp_path)
    with pytest.raises(ValueError, match="no run measured test/recall@1 at two epochs"):
        curves(measured, "cub200", "test/recall@1", own)


def test_names_move_no_further_than_they_must() -> None:
    """Against all rasters of places: none that keeps the distance is nearer."""
    places, spacing = [0.5, 0.52, 0.9], 0.1
    found = moved_apart(places, spacing)
    assert found == pytest.approx([0.46, 0.56, 0.9])
    cost = sum((a - b) ** 2 for a, b in zip(found, places, strict=True))
    raster = np.linspace(0, 1, 51)
    for a in raster:
        for b in raster[raster >= a + spacing - 1e-9]:
            for c in raster[raster >= b + spacing - 1e-9]:
                other = (a - places[0]) ** 2 + (b - places[1]) ** 2 + (c - places[2]) ** 2
                assert other >= cost - 1e-12
    crowded = moved_apart([1.0] * 11, spacing)
    assert crowded == pytest.approx([n / 10 for n in range(11)])
    assert moved_apart([], spacing) == []


def test_files_embed_their_fonts_and_have_the_width_of_a_column(tmp_path: Path) -> None:
    root = write_methods(tmp_path / "runs", 3)
    main([str(root), "--out", str(tmp_path / "out"), "--columns", "1", "--metrics", "recall@1"])
    files = {file.name for file in (tmp_path / "out").iterdir()}
    expected = {"curves_recall@1_cub200", "recall_rho_cub200", "ranking_cub200"}
    assert {f"{name}.{kind}" for name in expected for kind in ("pdf", "png")} <= files
    content = (tmp_path / "out" / "curves_recall@1_cub200.pdf").read_bytes()
    assert b"/Type42" in content or b"/CIDFontType2" in content, "TrueType, which printers accept"
    assert b"/Type3" not in content
    box = content.split(b"/MediaBox [")[1].split(b"]")[0].split()
    assert float(box[2]) == pytest.approx(72 * ONE_COLUMN, abs=0.5)


def test_a_figure_of_a_path_is_the_same_every_time(tmp_path: Path) -> None:
    _, table, own = read(write_methods(tmp_path / "runs", 15))
    for name in ("a", "b"):
        save(recall_rho(table, "cub200", own), tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_too_many_methods_that_stand_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--best is 1 to 56, got 57"):
        main([str(tmp_path), "--best", "57"])
