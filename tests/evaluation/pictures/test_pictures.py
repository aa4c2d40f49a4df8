"""What is drawn, read back from the figures; and that files show no date, machine or place."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colors, rcParams
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from evaluation.figures.class_map import class_map, layout, sample_of_classes
from evaluation.figures.neighbor_grid import Answer, neighbor_grid
from evaluation.figures.picture_grid import fitted, text_width, wrapped
from evaluation.figures.query_changes import changed_queries, rank_changes
from evaluation.figures.recall_curve import random_recall, recall_curve
from evaluation.figures.spectrum import spectrum_picture
from evaluation.figures.style import (
    COLOURS,
    GREEN,
    MARKERS,
    ONE_COLUMN,
    TWO_COLUMNS,
    VERMILLION,
    save,
)


def line(figure: Figure, label: str) -> tuple[np.ndarray, np.ndarray]:
    (axes,) = figure.axes
    (found,) = [drawn for drawn in axes.lines if drawn.get_label() == label]
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def test_the_recall_curve_is_recall_at_every_k() -> None:
    hits = np.array([1, 1, 3, 40, 7])
    k, recall = line(
        recall_curve(hits, np.full(5, 2), np.array([50, 50, 50, 49, 50])), "embeddings"
    )
    assert k.tolist() == list(range(1, 51))
    assert recall.tolist() == [sum(hit <= depth for hit in hits) / 5 for depth in range(1, 51)]


def test_the_recall_curve_ends_at_a_thousand() -> None:
    k, _ = line(recall_curve(np.array([1]), np.array([1]), np.array([5000])), "embeddings")
    assert (k[0], k[-1]) == (1, 1000)


def test_chance_is_what_shuffling_gives() -> None:
    relevant, candidates = np.array([1, 3, 5]), np.array([6, 6, 5])
    exact = random_recall(relevant, candidates, np.arange(1, 7))
    rng = np.random.default_rng(0)
    found = np.zeros(6)
    for number, size in zip(relevant, candidates, strict=True):
        first = rng.permuted(np.tile(np.arange(size), (20000, 1)), axis=1)
        first = np.argmax(first < number, axis=1) + 1
        found += (first[:, None] <= np.arange(1, 7)).mean(axis=0)
    assert np.abs(exact - found / 3).max() < 0.01
    assert exact[-1] == pytest.approx(1)


def test_the_spectrum_is_shares_and_zeros_are_counted() -> None:
    figure = spectrum_picture(np.array([6.0, 3.0, 1.0, 0.0]))
    assert line(figure, "embeddings")[1].tolist() == [0.6, 0.3, 0.1]
    assert set(line(figure, "all directions alike")[1]) == {0.25}
    assert "1 of 4 are zero" in figure.axes[0].get_title(loc="left")


def test_classes_of_the_map_have_their_own_looks() -> None:
    assert len(set(MARKERS)) == len(MARKERS) == 56
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 2, 3], 8)
    points = rng.normal(size=(24, 5)) + 20 * labels[:, None]
    figure = class_map(points, labels, ["a", "unused", "$c$", "_d"])
    groups = figure.axes[0].collections
    assert [len(group.get_offsets()) for group in groups] == [8, 8, 8]
    assert len({tuple(group.get_facecolor()[0]) for group in groups}) == 3
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "$c$", "_d"]


def test_the_map_keeps_classes_together_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    points = rng.normal(size=(40, 6)) + 50 * labels[:, None]
    coordinates = layout(points, seed=3)
    assert np.array_equal(coordinates, layout(points, seed=3))
    centres = np.stack([coordinates[labels == label].mean(axis=0) for label in (0, 1)])
    nearest = np.linalg.norm(coordinates[:, None] - centres, axis=2).argmin(axis=1)
    assert np.array_equal(nearest, labels)


@pytest.mark.parametrize("num", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("kind", ["collapsed", "line", "random"])
def test_the_map_of_hardly_anything_is_finite(num: int, kind: str) -> None:
    points = np.random.default_rng(num).normal(size=(num, 3))
    if kind == "collapsed":
        points[:] = 1
    elif kind == "line":
        points[:, 1:] = 0
    coordinates = layout(points, seed=0)
    assert coordinates.shape == (num, 2)
    assert np.isfinite(coordinates).all()


def test_few_large_classes_share_the_map() -> None:
    labels = np.repeat(np.arange(4), 1000)
    chosen = sample_of_classes(labels, most=200, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [50] * 4
    assert not np.array_equal(chosen, sample_of_classes(labels, most=200, seed=1))


def test_of_many_small_classes_the_map_shows_whole_ones() -> None:
    labels = np.repeat(np.arange(1000), 5)
    chosen = sample_of_classes(labels, most=200, seed=0)
    assert len(chosen) == 200
    assert np.all(np.diff(chosen) > 0)
    sizes = np.bincount(labels[chosen])
    assert sizes[sizes > 0].tolist() == [5] * 40


def test_a_small_set_is_on_the_map_whole() -> None:
    labels = np.array([3, 3, 5, 9])
    assert sample_of_classes(labels, most=200, seed=0).tolist() == [0, 1, 2, 3]


def test_frames_tell_right_from_wrong_in_three_ways() -> None:
    image = Image.new("RGB", (300, 100), "white")
    answers = [
        Answer(image, ["one", "AP 0.50"], [image, image], ["one", "two"], [True, False]),
        Answer(image, ["two"], [image], ["one"], [False]),
    ]
    figure = neighbor_grid({"best": answers, "worst": answers[:1]})
    first = figure.axes[:3]
    assert len(figure.axes) == 8, "the second query found one item only"
    frames = [axes.spines["left"] for axes in first]
    assert [colors.to_hex(frame.get_edgecolor()).upper() for frame in frames[1:]] == [
        GREEN,
        VERMILLION,
    ]
    assert frames[1].get_linestyle() != frames[2].get_linestyle()
    assert [axes.get_title(loc="center") for axes in first] == ["one\nAP 0.50", "✓", "✗ two"]
    assert [text.get_text() for text in figure.texts] == ["best", "worst"]
    assert max(first[1].images[0].get_size()) <= 160


def captions_apart(figure: Figure) -> None:
    """No text overlaps another one or a picture, and none leaves the figure."""
    figure.draw_without_rendering()
    inside = [child for axes in figure.axes for child in axes.get_children()]
    texts = [text for text in [*figure.texts, *inside] if isinstance(text, Text)]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    pictures = [axes.bbox for axes in figure.axes if axes.images]
    for first, second in combinations([*boxes, *pictures], 2):
        both = Bbox.intersection(first, second)
        assert both is None or min(both.width, both.height) < 1
    for box in boxes:
        assert figure.bbox.padded(1).contains(*box.min)
        assert figure.bbox.padded(1).contains(*box.max)


@pytest.mark.parametrize(("width", "depth"), [(ONE_COLUMN, 5), (TWO_COLUMNS, 10)])
def test_captions_of_long_names_keep_apart(width: float, depth: int) -> None:
    image = Image.new("RGB", (40, 60), "white")
    names = ["Arla-Lactose-Medium-Fat-Milk", "Conference", "n02085620-Chihuahua", "W" * 60, "a b"]
    answers = [
        Answer(image, [name, "AP 0.01"], [image] * depth, (names * 2)[:depth], [False] * depth)
        for name in names
    ]
    figure = neighbor_grid({"best": answers[:2], "worst": answers[2:], "random": []}, width)
    captions_apart(figure)
    assert figure.get_size_inches()[0] == width
    short = [a._replace(found=a.found[:4], names=names[:4], is_right=[True] * 4) for a in answers]
    changed = {"becomes right": list(zip(short, short, strict=True)), "becomes wrong": []}
    captions_apart(changed_queries(changed, ("pretrained", "fine-tuned")))


def test_titles_fit_a_column() -> None:
    many = np.full(123_456, 3)
    captions_apart(recall_curve(many, many, many * 1000))
    captions_apart(spectrum_picture(np.r_[np.geomspace(1, 0.01, 12), np.zeros(500)]))


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    name = "Arla-Lactose-Medium-Fat-Milk"
    short = fitted(name, 40)
    assert text_width(short) <= 40 < text_width(name)
    first, last = short.split("…")
    assert name.startswith(first)
    assert name.endswith(last)
    assert abs(len(first) - len(last)) <= 1
    assert wrapped("Honeydew Melon", 45) == ["Honeydew", "Melon"]
    assert wrapped("Melon", 45) == ["Melon"]


def test_ranks_before_and_after_are_counted_by_what_changes() -> None:
    before, after = np.array([1, 1, 1, 5, 9, 30]), np.array([1, 1, 4, 1, 3, 1])
    figure = rank_changes(before, after, ("frozen", "fine-tuned"))
    (axes,) = figure.axes
    drawn = {str(line.get_label()): line for line in axes.lines[1:]}
    assert list(drawn) == [
        "right in both: 2 (33.3 %)",
        "wrong in both: 1 (16.7 %)",
        "becomes right: 2 (33.3 %)",
        "becomes wrong: 1 (16.7 %)",
    ]
    became_right = drawn["becomes right: 2 (33.3 %)"]
    x, y = (np.asarray(values, float) for values in became_right.get_data())
    assert np.allclose(x, [5, 30], rtol=0.1)
    assert np.allclose(y, 1, rtol=0.1)
    shown = {(line.get_color(), line.get_marker()) for line in drawn.values()}
    assert len(shown) == 4
    assert axes.get_xlabel().endswith("frozen")
    assert axes.get_ylabel().endswith("fine-tuned")
    captions_apart(figure)


def test_no_change_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no query changes"):
        changed_queries({"becomes right": []}, ("a", "b"))


def test_a_grid_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one query"):
        neighbor_grid({"best": []})


def test_colours_differ_in_brightness_or_hue_for_everyone() -> None:
    """Simulated deuteranopia (Machado et al. 2009) leaves every pair of colours apart."""
    simulated = np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    )
    seen = np.array([simulated @ np.array(colors.to_rgb(colour)) for colour in COLOURS])
    apart = np.linalg.norm(seen[:, None] - seen, axis=2) + np.eye(len(COLOURS))
    assert apart.min() > 0.1


@pytest.mark.parametrize("kind", ["png", "pdf"])
def test_files_are_the_same_every_time_and_name_nothing(kind: str, tmp_path: Path) -> None:
    before = dict(rcParams)
    contents = []
    for number in range(2):
        path = tmp_path / f"{number}.{kind}"
        save(spectrum_picture(np.array([2.0, 1.0])), path)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) > 1000
    for word in (b"Date", b"Software", b"matplotlib", str(tmp_path).encode()):
        assert word not in contents[0]
    assert dict(rcParams) == before, "the settings of the user are left alone"
