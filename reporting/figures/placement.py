"""Placement of names in a figure, so that none covers another or leaves the figure."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import NamedTuple

import numpy as np
import textalloc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.isotonic import isotonic_regression

from evaluation.figures.style import SMALL
from reporting.figures.method_styles import MethodStyle

LEADING = 1.3  # distance of two lines of text, in heights of the font
GAP = 0.05  # between the axes and the names at its right, as a share of its width
NEAR, FAR = 0.07, 0.5  # most distance of a name from its point, as a share of the figure

Point = tuple[float, float]


class Name(NamedTuple):
    """Name of a line or point: text, the place that it names in data units, and its style."""

    text: str
    place: Point
    style: MethodStyle


def name_points(axes: Axes, names: Sequence[Name], obstacles: Sequence[Sequence[Point]]) -> None:
    """Write each name near its point, the first ones first; without room for it, leave it out.

    No name covers a point, another name or an obstacle. A line leads to the point. The names of
    highlighted methods come first and may be further away.

    Args:
        obstacles: lines that names do not cover, as their points in data units.
    """
    fix_layout(axes)
    points = [name.place for name in names]
    best = [name for name in names if name.style.highlighted]
    others = [name for name in names if not name.style.highlighted]
    lines = list(obstacles)
    for chosen, distance, may_cross in (
        (best, FAR, False),
        (best, 2 * FAR, True),
        (others, NEAR, False),
    ):
        left = [name for name in chosen if name.text not in written(axes)]
        lines += allocate(axes, left, points, lines, distance, may_cross)


def written(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def allocate(
    axes: Axes,
    names: Sequence[Name],
    points: Sequence[Point],
    lines: Sequence[Sequence[Point]],
    distance: float,
    may_cross: bool,
) -> list[list[Point]]:
    """Write the names at most `distance` from their points; returns what they cover, as lines."""
    if not names:
        return []
    x, y = (list(axis) for axis in zip(*(name.place for name in names), strict=True))
    every_x, every_y = (list(axis) for axis in zip(*points, strict=True))
    with redirect_stdout(StringIO()):  # it prints that a name has no room
        _, leaders, texts, _ = textalloc.allocate(
            axes,
            x,
            y,
            [name.text for name in names],
            x_scatter=every_x,
            y_scatter=every_y,
            x_lines=[[x for x, _ in line] for line in lines],
            y_lines=[[y for _, y in line] for line in lines],
            textsize=SMALL,
            textcolor=[name.style.text for name in names],
            linecolor=[name.style.colour for name in names],
            linewidth=0.6,
            margin=0.006,
            min_distance=0.012,
            max_distance=distance,
            nbr_candidates=1000,
            draw_all=False,
            avoid_label_lines_overlap=True,
            avoid_crossing_label_lines=not may_cross,
            va="bottom",  # of the box that it computes
        )
    covered = [corners(axes, text) for text in texts if isinstance(text, Text)]
    return covered + [list(zip(*line[:2], strict=True)) for line in leaders if line is not None]


def corners(axes: Axes, text: Text) -> list[Point]:
    """A line through the box of a text that nothing fits beside: its sides and its middle."""
    (left, bottom), (right, top) = axes.transData.inverted().transform(text.get_window_extent())
    middle = (bottom + top) / 2
    sides = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    return [*sides, (left, middle), (right, middle)]


def name_ends(axes: Axes, names: Sequence[Name]) -> None:
    """Write names in a column right of the axes, at the heights of the ends of their lines.

    Names that would cover each other are moved apart, as little as possible (least squares). If
    there is no room for all, the last ones are left out. A line leads from the end to the marker
    and the name.
    """
    texts = [
        axes.annotate(
            name.text,
            (1 + GAP, 0.5),
            (5, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=name.style.text,
            fontsize=SMALL,
            annotation_clip=False,
        )
        for name in names
    ]
    fix_layout(axes)  # with room for the longest name
    spacing = LEADING * SMALL * axes.figure.dpi / 72 / axes.bbox.height
    room = 1 + int(1 / spacing)
    for text in texts[room:]:
        text.remove()
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform(name.place) for name in names[:room]]
    places = moved_apart([end[1] for end in ends], spacing)
    for text, name, end, place in zip(texts, names, ends, places, strict=False):
        text.xy = (1 + GAP, place)
        axes.plot(
            [end[0], 1 + GAP],
            [end[1], place],
            transform=axes.transAxes,
            clip_on=False,
            color=name.style.colour,
            linewidth=0.7,
            linestyle=":",  # unlike a curve
            marker=name.style.marker,
            markevery=[1],
        )


def moved_apart(places: Sequence[float], spacing: float) -> list[float]:
    """The nearest places (least squares) in 0..1 that are at least `spacing` apart, in that order.

    The sorted places minus their rank times the spacing have to ascend: isotonic regression.
    """
    if not places:
        return []
    order = np.argsort(places, kind="stable")
    steps = spacing * np.arange(len(places))
    top = max(0.0, 1 - float(steps[-1]))
    found = np.empty(len(places))
    wanted = np.asarray(places)[order] - steps
    found[order] = isotonic_regression(wanted, y_min=0, y_max=top) + steps
    return [float(place) for place in found]


def fix_layout(axes: Axes) -> None:
    """Lay the figure out and keep axes and limits as they are, so that pixels can be computed."""
    figure = axes.figure
    assert isinstance(figure, Figure)
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
