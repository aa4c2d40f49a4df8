"""How every picture looks, and how it is kept: colours all can tell apart, no dates, no paths."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from core.files import write_atomically

# Okabe & Ito 2008, "Color Universal Design", for every kind of colour vision; without their yellow,
# which is hard to see on white. Grey is for what is beside the point: it resembles their green.
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK)
GREY = "#767676"

STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "axes.axisbelow": True,
    "text.parse_math": False,  # a class may be called a$b$c
    "pdf.fonttype": 42,  # text stays text
}
NO_METADATA: dict[str, Any] = {
    "png": {"Software": None},
    "pdf": dict.fromkeys(["CreationDate", "Creator", "Producer"]),
}


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside look like all the others, whatever the settings of the user."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def plain_numbers(axis: Axis) -> None:
    """Labels of a logarithmic axis as plain numbers; formulas are switched off, see `STYLE`."""
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))


def save(figure: Figure, path: Path, dots_per_inch: int = 130) -> None:
    """Write a PNG or PDF, as the suffix says; the same figure gives the same bytes."""
    kind = path.suffix.removeprefix(".")
    options: dict[str, Any] = {"format": kind, "dpi": dots_per_inch, "metadata": NO_METADATA[kind]}
    with styled():
        write_atomically(path, lambda file: figure.savefig(file, **options))
