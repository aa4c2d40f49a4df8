"""Picture grid: rows of framed images with captions, in groups, in the width of a page."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL.Image import Image

from evaluation.figures.style import BLACK, GREEN, STYLE, TWO_COLUMNS, VERMILLION, styled

THUMBNAIL = 160  # pixels of a thumbnail
CAPTION = 5.5  # points
LINE = CAPTION * 1.25 / 72  # inches of a line of a caption
MARGIN, GAP = 0.2, 0.05  # inches, of the name of a group and between images
WIDE = 0.1  # inches, more between groups and between blocks of columns
HEADING = 0.18  # inches, of the names of blocks
FRAME = 1.6  # points

Line = str | tuple[int, tuple[int, int]]


class Frame(NamedTuple):
    """Frame: colour, line and the mark that says the same in black and white."""

    colour: str
    line: Line
    mark: str


QUERY = Frame(BLACK, "-", "")
CORRECT = Frame(GREEN, "-", "✓")
WRONG = Frame(VERMILLION, (0, (2, 1)), "✗")  # dashes of 2, gaps of 1


class Picture(NamedTuple):
    """Picture: an image in its frame, and a caption, whose lines are fitted to its width."""

    image: Image
    frame: Frame
    lines: Sequence[str] = ()


Row = Sequence[Picture | None]  # None leaves a place empty


def picture_grid(
    groups: Mapping[str, Sequence[Row]],
    headings: Mapping[int, str] | None = None,
    width: float = TWO_COLUMNS,
) -> Figure:
    """Picture grid: the rows of each group below each other, the name of the group at their left.

    Args:
        groups: name -> rows; a group without rows is left out.
        headings: names above columns, by the first column that they concern.
        width: of the figure, in inches.

    Raises:
        ValueError: there is no row.
    """
    rows = [row for own in groups.values() for row in own]
    if not rows:
        raise ValueError("a grid of pictures needs at least one row")
    columns = max(len(row) for row in rows)
    blocks = sorted(headings or {})
    size = (width - MARGIN - WIDE * max(0, len(blocks) - 1)) / columns - GAP  # of an image
    left = [
        MARGIN + column * (size + GAP) + WIDE * sum(0 < block <= column for block in blocks)
        for column in range(columns)
    ]
    top = HEADING if headings else 0.0
    height = top + sum(size + GAP + LINE * lines_of(row, size) for row in rows)
    height += WIDE * (sum(map(bool, groups.values())) - 1) + GAP
    with styled():
        figure = Figure(figsize=(width, height))
        for block in blocks:
            place = (left[block] / width, 1 - 0.03 / height)
            figure.text(*place, (headings or {})[block], va="top", fontweight="bold")
        y = height - top
        for name, own in groups.items():
            start = y
            for row in own:
                y -= size + GAP + LINE * lines_of(row, size)
                for x, picture in zip(left, row, strict=False):
                    if picture is not None:
                        box = (x / width, y / height, size / width, size / height)
                        draw_picture(figure.add_axes(box), picture, size)
            if own:
                place = (0.45 * MARGIN / width, (start - LINE + y) / 2 / height)
                figure.text(*place, name, rotation=90, va="center", ha="center", fontweight="bold")
                y -= WIDE
    return figure


def lines_of(row: Row, size: float) -> int:
    """The most lines above an image of a row."""
    return max(len(caption(picture, size)) for picture in row if picture is not None)


def caption(picture: Picture, size: float) -> list[str]:
    """The lines of a caption, fitted to an image of `size` inches; the first has the mark."""
    first, *others = picture.lines or [""]
    text = f"{picture.frame.mark} {first}".strip()
    width = 72 * (size + GAP) - 2
    return [line for part in (text, *others) for line in wrapped(part, width)]


def draw_picture(axes: Axes, picture: Picture, size: float) -> None:
    """Draw a framed thumbnail of `size` inches with its caption."""
    small = picture.image.copy()
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    frame = picture.frame
    axes.imshow(small)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    text = "\n".join(caption(picture, size))
    axes.set_title(text, color=frame.colour, fontsize=CAPTION, loc="center", pad=2)
    for spine in axes.spines.values():
        spine.set(
            visible=True,
            color=frame.colour,
            linewidth=FRAME,
            linestyle=frame.line,
            capstyle="butt",
        )


def wrapped(text: str, width: float) -> list[str]:
    """The text in one line, or in two, broken after a space, hyphen, slash or underscore."""
    if text_width(text) <= width:
        return [text]
    breaks = [match.end() for match in re.finditer(r"[ /_-](?=.)", text)]
    fit = [place for place in breaks if text_width(text[:place].rstrip()) <= width]
    if not fit:
        return [fitted(text, width)]
    whole = [place for place in fit if text_width(text[place:]) <= width]
    place = (whole or fit)[-1]
    return [text[:place].rstrip(), fitted(text[place:], width)]


def fitted(text: str, width: float) -> str:
    """The text without its middle, if it is wider than `width` points.

    The beginning or the end may distinguish similar names, so both are kept.
    """
    kept = len(text)
    shorter = text
    while kept > 1 and text_width(shorter) > width:
        kept -= 1
        shorter = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return shorter


def text_width(text: str) -> float:
    """Width of a caption in points."""
    renderer = FigureCanvasAgg(Figure(dpi=72)).get_renderer()  # type: ignore[no-untyped-call]
    font = FontProperties(family=STYLE["font.family"], size=CAPTION)
    width, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
    return float(width)
