"""Configuration errors, and suggestions for mistyped names."""

import difflib
from collections.abc import Iterable

from core.errors import UserError


class ConfigurationError(UserError):
    """The configuration asks for something that does not exist or does not fit together."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'lr'?`, or an empty string if no known name is similar."""
    similar = closest(name, known)
    return f", did you mean '{similar}'?" if similar else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to this one; None if none is similar."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
