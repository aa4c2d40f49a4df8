"""Check a dataset, or download and check it:  python -m scripts.prepare_data dataset=cub200

    dataset=<name> [download=true] [out=<folder>] [bits=16] [paths.data=<folder>] [other key=value]

Reads and counts every image, finds test images that are also in the training split, and writes
<dataset>.csv, a table that `dataset=csv` reads, and <dataset>.json, the results. Fails if the
numbers are not the published ones or an image cannot be read. The keys above are
in conf/prepare_data.yaml, all others are those of a run; docs/data.md explains the results.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from engine.config.error_line import user_errors_as_one_line
from engine.data.preparation import fail_if_wrong, prepare

LABELS = {
    "unreadable": "images that cannot be read",
    "exact_duplicates": "test images that are the same file as a training image",
    "near_duplicates": "other test images that look like a training image",
}


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__, end="")
        return
    with user_errors_as_one_line():
        prepared = prepare(arguments)
        report(prepared.found)
        print(prepared.table, prepared.summary, sep="\n")
        fail_if_wrong(prepared.found)


def report(found: Mapping[str, Any]) -> None:
    grid = Grid("split", "classes", "images", box=None, header_style="bold")
    for part, numbers in found["counts"].items():
        grid.add_row(part, f"{numbers['classes']:,}", f"{numbers['images']:,}")
    console = Console()
    console.print(grid)
    for kind, said in LABELS.items():
        console.print(f"{said}: {len(found[kind]):,}", highlight=False)


if __name__ == "__main__":
    main(sys.argv[1:])
