"""Errors a user can mend."""


class UserError(Exception):
    """Something outside the code is wrong; the message says in one line what, and what to do."""
