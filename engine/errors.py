"""What is wrong with a configuration, and what was probably meant."""

import difflib
from collections.abc import Iterable

from core.errors import UserError


class ConfigurationError(UserError):
    """The configuration asks for something that does not exist or does not fit together."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'lr'?`, or nothing where nothing known is like it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else ""
