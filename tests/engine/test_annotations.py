"""Whether a value fits an annotation, and the annotation in words."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Len, MinLen
from torch import Tensor

from core.distance import Cosine
from core.reducer import Mean
from core.types import Distance
from engine.config.annotations import described_in_words, fits

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("annotation", "fitting", "others"),
    [
        (int, [3, -1], [3.0, True, "3", None, 2**63, [3]]),
        (float, [3, 0.5], [True, "0.5", None, INF, NAN, 10**400]),
        (bool, [True], [0, 1, "true", "no", None]),
        (str, ["", "a"], [5, None, True, ["a"]]),
        (Path, ["a/b"], [5, None]),
        (float | None, [None, 1], ["null", True]),
        (Annotated[float, Gt(0), Le(1)], [1, 0.1], [0, 1.1, "1", None]),
        (Literal["auto"] | Annotated[int, Ge(0)], ["auto", 0], ["aut", -1, 2.5, None, True]),
        (Sequence[float], [[], [1, 2.5]], ["ab", 1, ["a"], [None], {"a": 1}]),
        (tuple[int, int], [[1, 2]], [[1], [1, 2, 3], [1, 2.0]]),
        (Annotated[Sequence[int], MinLen(1)], [[1]], [[], [2.0]]),
        (Mapping[str, int], [{}, {"a": 1}], [[], {"a": "b"}, 5]),
        (float | Tensor, [0.1], ["abc", None]),
        (Distance | None, [None, Cosine()], [5, "cosine", {"p": 2}, Mean()]),
        (Callable[..., int], [len], [5, "len", {}]),
        (Any, [1, None, [object()]], []),
    ],
)
def test_a_value_is_of_the_type_and_in_the_range(
    annotation: object, fitting: list[object], others: list[object]
) -> None:
    assert all(fits(value, annotation) for value in fitting)
    assert not [value for value in others if fits(value, annotation)]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (bool, "true or false"),
        (int | None, "a whole number or null"),
        (Literal["auto"] | Annotated[int, Ge(0)], "auto or a whole number >= 0"),
        (Literal["a", "b"] | None, "one of a, b or null"),
        (Annotated[float, Gt(0), Le(1)], "a number > 0 and <= 1"),
        (Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)], "a list, each a whole number >= 1"),
        (Annotated[Sequence[float], Len(2, 2)], "a list, each a number, 2 of them"),
        (tuple[int, int], "a list of 2, each a whole number"),
        (Annotated[str, MinLen(1)], "text, not empty"),
        (float | Tensor, "a number"),
        (Mapping[str, int], "a mapping, each a whole number"),
        (Distance | None, "a node whose _target_ is a Distance or null"),
    ],
)
def test_an_annotation_in_words(annotation: object, words: str) -> None:
    assert described_in_words(annotation).startswith(words)
