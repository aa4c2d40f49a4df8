"""Styles of methods in a figure: each of the best has a colour and a marker of its own."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from evaluation.figures.style import LIGHT_GREY, MARKERS

BEST = 7  # highlighted methods; each has a colour and a shape that no other one has


class MethodStyle(NamedTuple):
    """Style of a method; those that are not highlighted are grey dots below the others."""

    name: str  # as it is printed
    colour: str
    marker: str
    highlighted: bool

    @property
    def text(self) -> str:
        """Colour of its name."""
        return "black" if self.highlighted else "#6A6A6A"

    @property
    def order(self) -> float:
        """Matplotlib's `zorder`."""
        return 3.0 if self.highlighted else 2.0


OTHER = MethodStyle("", LIGHT_GREY, "", highlighted=False)
MethodStyles = Mapping[str, MethodStyle]  # method -> style, in the order in which they are named


def method_styles(
    scores: "pd.Series[float]", names: Mapping[str, str] | None = None, best: int = BEST
) -> MethodStyles:
    """Style of each method, the best first; a method without a score comes last.

    Args:
        scores: of each method, higher is better.
        names: printed name of a method; without one, the method is the name.
        best: how many are highlighted, at most 56.
    """
    ranked = scores.sort_values(ascending=False, kind="stable", na_position="last").index
    own = MARKERS[:best]
    return {
        method: MethodStyle(
            (names or {}).get(method, method),
            *(own[place] if place < len(own) else (LIGHT_GREY, ".")),
            highlighted=place < len(own),
        )
        for place, method in enumerate(map(str, ranked))
    }


def drawn(every: MethodStyles, methods: Iterable[str]) -> Iterator[tuple[str, MethodStyle]]:
    """Those of the methods, in the order of their styles."""
    present = set(methods)
    return ((method, style) for method, style in every.items() if method in present)
