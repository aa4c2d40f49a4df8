"""Errors that a user can correct."""

from typing import ClassVar


class UserError(Exception):
    """User error: data, configuration or machine are wrong; one line says what and what to do."""

    exit_code: ClassVar[int] = 1  # of a process that it ends


class ComponentError(UserError, TypeError):
    """Component error: a component, such as a miner, breaks the contract of its kind."""


def in_one_line(error: BaseException | None) -> str:
    """Message of an error without line breaks, or its class if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
