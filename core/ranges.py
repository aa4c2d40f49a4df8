"""Number types with their ranges, for the signatures of components.

A configuration is checked against them before a run reads any data; NaN and infinity never fit.
A constructor also checks its arguments itself, for callers from Python.
"""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
Size = Annotated[int, Ge(1), Le(2**24)]  # length of a dimension of an array
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]  # both NumPy and torch accept these

PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
PositiveFraction = Annotated[float, Gt(0), Le(1)]
OpenFraction = Annotated[float, Gt(0), Lt(1)]
