"""Compare two evaluations query by query:  python -m scripts.compare <before> <after>

Both are queries.parquet files that `python -m scripts.evaluate` wrote, or their folders, of the
same split of the same dataset. Prints the means of both over the queries that have a relevant
image, the difference with its bootstrap interval, and the queries that changed most.

    python -m scripts.compare runs/cub200/<group> runs/cub200/<other group> [<evaluation>]

compares two methods over the seeds that both have: the interval is of a bootstrap that draws
seeds and queries together. The name of the evaluation is needed where a run has several.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from core.errors import UserError
from engine.config.error_line import user_errors_as_one_line
from evaluation.per_query import compare
from reporting.query_comparison import comparison, read_queries
from reporting.seed_comparison import is_group, read_group, seed_comparison


def main(arguments: Sequence[str]) -> None:
    if len(arguments) not in (2, 3) or {"-h", "--help"} & set(arguments):
        raise SystemExit(__doc__)
    with user_errors_as_one_line():
        try:
            parts = list(compared(Path(arguments[0]), Path(arguments[1]), *arguments[2:]))
        except ValueError as error:
            raise UserError(str(error)) from error
        console = Console()
        for part in parts:
            console.print(part)


def compared(before: Path, after: Path, evaluation: str | None = None) -> Iterator[Grid | str]:
    """The comparison of two groups, or of two evaluations.

    Raises:
        UserError: one is a group and the other is not.
    """
    groups = is_group(before), is_group(after)
    if all(groups):
        return seed_comparison(read_group(before, evaluation), read_group(after, evaluation))
    if any(groups) or evaluation:
        raise UserError(
            f"{before} and {after} are not two groups of seeds, nor two evaluations with their "
            "queries.parquet"
        )
    return comparison(compare(read_queries(before), read_queries(after)))


if __name__ == "__main__":
    main(sys.argv[1:])
