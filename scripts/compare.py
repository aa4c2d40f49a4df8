"""Compare two evaluations query by query:  python -m scripts.compare <before> <after>

Both are queries.parquet files that `python -m scripts.evaluate` wrote, or their folders, of the
same split of the same dataset. Prints the means of both over the queries that have a relevant
image, the difference with its bootstrap interval, and the queries that changed most.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from core.errors import UserError
from engine.config.error_line import user_errors_as_one_line
from evaluation.per_query import compare
from reporting.query_comparison import comparison, read_queries


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 2 or {"-h", "--help"} & set(arguments):
        raise SystemExit(__doc__)
    with user_errors_as_one_line():
        before, after = (read_queries(Path(argument)) for argument in arguments)
        try:
            both = compare(before, after)
        except ValueError as error:
            raise UserError(str(error)) from error
        console = Console()
        for part in comparison(both):
            console.print(part)


if __name__ == "__main__":
    main(sys.argv[1:])
