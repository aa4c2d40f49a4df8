"""Configuration errors, with the name that was probably meant."""

import difflib
from collections.abc import Iterable

from core.errors import UserError


class ConfigurationError(UserError):
    """The configuration asks for something that does not exist or does not fit together."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'lr'?`, or nothing where nothing known is like it."""
    meant = closest(name, known)
    return f", did you mean '{meant}'?" if meant else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one; None where none is."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
