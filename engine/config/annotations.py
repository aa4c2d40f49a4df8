"""Type annotations: check a value against an annotation, and describe the annotation in words."""

import inspect
import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
LARGEST = 2**63  # limit of whole numbers, so that NumPy and torch can represent them
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
WORDS |= {type(None): "null", Path: "a path", Any: "anything"}
SIGNS = {Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<")}


def fits(value: object, annotation: object) -> bool:
    """Whether a value, from YAML or an object, has the annotated type and is in its range.

    A whole number fits a float, and a list of YAML fits any sequence; nothing else is converted.
    Every value fits an annotation that cannot be checked, such as a type for type checkers alone.
    """
    adapter = _adapter(annotation)
    if adapter is None:
        return True
    try:
        if _is_plain(value):  # strict validation of JSON lets a list become a tuple
            adapter.validate_json(json.dumps(value))
        else:
            adapter.validate_python(value)
    except ValidationError:
        return False
    return is_representable(value)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any] | None:  # noqa: ANN401
    try:
        return TypeAdapter(annotation, config=STRICT)
    except (PydanticUserError, SchemaError, NameError, TypeError):
        return None


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | int | float)


def is_representable(value: object) -> bool:
    """Whether every whole number in the value fits into 64 bits."""
    if isinstance(value, list):
        return all(map(is_representable, value))
    return not isinstance(value, int) or -LARGEST <= value < LARGEST


def described_in_words(annotation: object) -> str:
    """The annotation in words, such as `auto or a whole number >= 0`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return f"{described_in_words(arguments[0])}{_range(arguments[1:])}"
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}" if arguments[1:] else str(arguments[0])
    if origin in (Union, types.UnionType):
        return _alternatives(arguments)
    if origin is Callable or annotation is Callable:
        return "a node with _target_ and _partial_: true"
    if origin in (Mapping, dict):
        return f"a mapping, each {described_in_words(arguments[1])}"
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        fixed = issubclass(origin, tuple) and Ellipsis not in arguments
        number = f" of {len(arguments)}" if fixed else ""
        return f"a list{number}, each {described_in_words(arguments[0])}"
    return WORDS.get(annotation) or _component(annotation)  # type: ignore[call-overload]


def _range(limits: Sequence[object]) -> str:
    words = [
        f"{sign} {getattr(limit, name)}"
        for limit in limits
        for kind, (name, sign) in SIGNS.items()
        if isinstance(limit, kind)
    ]
    return " " + " and ".join(words) if words else "".join(map(_length, limits))


def _length(limit: object) -> str:
    if isinstance(limit, Len) and limit.min_length == limit.max_length:
        return f", {limit.min_length} of them"
    least = limit.min_length if isinstance(limit, Len | MinLen) else 0
    most = limit.max_length if isinstance(limit, Len | MaxLen) else None
    return ", not empty" * bool(least) + f", at most {most}" * (most is not None)


def _alternatives(members: Sequence[object]) -> str:
    """The members that YAML can express; classes such as Tensor only where there are no others."""
    plain = [member for member in members if not _is_object(member)]
    kinds = [described_in_words(m) for m in (plain if set(plain) - {type(None)} else members)]
    kinds.sort(key="null".__eq__)
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}" if kinds[1:] else kinds[0]


def _is_object(member: object) -> bool:
    return inspect.isclass(member) and member not in WORDS and get_origin(member) is None


def _component(annotation: object) -> str:
    return f"a node whose _target_ is a {getattr(annotation, '__name__', annotation)}"


def choices(annotation: object) -> list[str]:
    """Every string that a Literal of the annotation lists."""
    members = get_args(annotation) if get_origin(annotation) is not Literal else [annotation]
    literals = [member for member in members if get_origin(member) is Literal]
    return [str(choice) for literal in literals for choice in get_args(literal)]
