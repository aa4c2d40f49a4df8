"""Neighbour grid: queries and their nearest neighbours, with correct and wrong ones marked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL.Image import Image

from evaluation.figures.style import BLACK, GREEN, VERMILLION, styled

THUMBNAIL = 128  # pixels of a thumbnail

Line = str | tuple[int, tuple[int, int]]

CORRECT: tuple[str, Line, str] = (GREEN, "-", "✓")
WRONG: tuple[str, Line, str] = (VERMILLION, (0, (2, 1)), "✗")  # dashes of 2, gaps of 1


class Answer(NamedTuple):
    """Answer: a query image and its retrieved images, nearest first."""

    query: Image
    caption: str
    found: Sequence[Image]
    is_right: Sequence[bool]


def neighbor_grid(groups: Mapping[str, Sequence[Answer]]) -> Figure:
    """Neighbour grid: one row per query, the query at the left, rows labelled by group.

    Frames of correct neighbours are green with a tick, those of wrong ones red with a cross and
    dashed, so that colour-blind readers can tell them apart.

    Args:
        groups: group name, such as best or worst -> queries with their neighbours.

    Raises:
        ValueError: there is no query.
    """
    rows = [(name, answer) for name, answers in groups.items() for answer in answers]
    if not rows:
        raise ValueError("a picture of neighbours needs at least one query")
    columns = 1 + max(len(answer.found) for _, answer in rows)
    with styled():
        figure = Figure(figsize=(1.05 * columns, 1.2 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        previous_name = ""
        for (name, answer), row in zip(rows, grid, strict=True):
            draw_thumbnail(row[0], answer.query, BLACK, "-", answer.caption)
            if name != previous_name:
                row[0].set_ylabel(name, fontweight="bold")
                previous_name = name
            for axes, image, is_right in zip(row[1:], answer.found, answer.is_right, strict=False):
                colour, line, mark = CORRECT if is_right else WRONG
                draw_thumbnail(axes, image, colour, line, mark)
    return figure


def draw_thumbnail(axes: Axes, image: Image, colour: str, line: Line, title: str) -> None:
    """Draw a framed thumbnail with a title."""
    small = image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    axes.imshow(small)
    axes.set_axis_on()
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, color=colour, fontsize=8, loc="center", pad=3)
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.5, linestyle=line, capstyle="butt")
