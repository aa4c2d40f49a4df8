"""Choice of the rows of a table by their names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from core.errors import UserError
from reporting.run import Run, labels


def of_rows(runs: Sequence[Run], patterns: Sequence[str]) -> list[Run]:
    """The runs of the rows whose names match a pattern, such as `triplet*`; all without patterns.

    Raises:
        UserError: no row matches a pattern; the message has all names.
    """
    names = labels(runs)
    there = sorted(set(names.values()))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in there):
            raise UserError(f"no row matches {pattern}; there is {', '.join(there)}")
    return [
        run
        for run in runs
        if not patterns
        or any(fnmatchcase(names[run.dataset, run.group], pattern) for pattern in patterns)
    ]
