"""Figure style of a paper: sizes, colour-blind safe colours, files without metadata."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from core.files import write_atomically

# Okabe & Ito 2008, "Color Universal Design", safe for colour-blind readers; without their yellow,
# which has little contrast on white. Grey is for reference lines only: it resembles the green.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK)
GREY, LIGHT_GREY = "#767676", "#BDBDBD"
SHAPES = ("o", "^", "s", "D", "v", "P", "X", "*")  # in black and white, these tell lines apart
# 7 and 8 are coprime: all 56 pairs occur, and consecutive pairs differ in colour and shape
MARKERS = tuple(zip(COLOURS * len(SHAPES), SHAPES * len(COLOURS), strict=True))

ONE_COLUMN, TWO_COLUMNS = 3.3, 6.9  # inches, of a page with two columns
WIDTHS = {1: ONE_COLUMN, 2: TWO_COLUMNS}
SMALL = 7  # points, of ticks, legends and names in a figure

STYLE: Any = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": SMALL,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "axes.axisbelow": True,
    "text.parse_math": False,  # class names can contain $
    "pdf.fonttype": 42,  # TrueType: text remains selectable
}
NO_METADATA: dict[str, Any] = {
    "png": {"Software": None},
    "pdf": dict.fromkeys(["CreationDate", "Creator", "Producer"]),
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the figure style in this context, independent of the user's settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, as `STYLE` switches off formulas."""
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))


def save(figure: Figure, path: Path, dots_per_inch: int = 300) -> None:
    """Write a PNG or PDF file, by its suffix; equal figures give equal bytes."""
    suffix = path.suffix.removeprefix(".")
    metadata = NO_METADATA[suffix]
    options: dict[str, Any] = {"format": suffix, "dpi": dots_per_inch, "metadata": metadata}
    with styled():
        write_atomically(path, lambda file: figure.savefig(file, **options))
