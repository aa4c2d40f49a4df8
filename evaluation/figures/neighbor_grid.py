"""Neighbour grid: queries and their nearest neighbours, with correct and wrong ones marked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL.Image import Image

from evaluation.figures.picture_grid import CORRECT, QUERY, WRONG, Picture, picture_grid
from evaluation.figures.style import TWO_COLUMNS


class Answer(NamedTuple):
    """Answer: a query image and its retrieved images, nearest first.

    Args:
        lines: of the caption of the query, such as its class.
        names: class of each retrieved image.
    """

    query: Image
    lines: Sequence[str]
    found: Sequence[Image]
    names: Sequence[str]
    is_right: Sequence[bool]


def neighbor_grid(groups: Mapping[str, Sequence[Answer]], width: float = TWO_COLUMNS) -> Figure:
    """Neighbour grid: one row per query, the query at the left, rows labelled by group.

    Frames of correct neighbours are green with a tick, those of wrong ones red with a cross and
    dashed, so that colour-blind readers can tell them apart. Wrong ones are named by their class.

    Args:
        groups: group name, such as best or worst -> queries with their neighbours.
        width: of the figure, in inches.

    Raises:
        ValueError: there is no query.
    """
    if not any(groups.values()):
        raise ValueError("a picture of neighbours needs at least one query")
    return picture_grid(
        {name: [row_of(answer) for answer in answers] for name, answers in groups.items()},
        width=width,
    )


def row_of(answer: Answer) -> list[Picture]:
    """The pictures of a query and its neighbours."""
    return [Picture(answer.query, QUERY, answer.lines), *neighbors(answer)]


def neighbors(answer: Answer) -> list[Picture]:
    """The pictures of the neighbours."""
    return [
        Picture(image, CORRECT) if is_right else Picture(image, WRONG, [name])
        for image, name, is_right in zip(answer.found, answer.names, answer.is_right, strict=True)
    ]
