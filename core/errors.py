"""Errors a user can mend."""

from typing import ClassVar


class UserError(Exception):
    """Something outside the code is wrong; the message says in one line what, and what to do."""

    exit_code: ClassVar[int] = 1  # of a process that ends with it
