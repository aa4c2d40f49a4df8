"""Errors a user can mend."""

from typing import ClassVar


class UserError(Exception):
    """Something outside the code is wrong; the message says in one line what, and what to do."""

    exit_code: ClassVar[int] = 1  # of a process that ends with it


class ComponentError(UserError, TypeError):
    """A component, such as a miner, is not what its kind must be; says which and what is right."""


def in_one_line(error: BaseException | None) -> str:
    """The message of an error without line breaks; its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
