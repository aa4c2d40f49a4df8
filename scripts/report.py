"""Write a report, one HTML page of many runs:  python -m scripts.report runs/ --out report/

The page needs no other file. It has tables that can be sorted and filtered, curves, spectra, the
cost of each run, failed runs with the reason, and the settings in which two runs differ.
docs/results.md explains it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.files import write_text_atomically
from engine.config.error_line import user_errors_as_one_line
from reporting.html.page import page
from reporting.readers.sources import CACHE, read_all


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    with user_errors_as_one_line():
        runs = read_all(arguments.sources, arguments.cache, arguments.refresh)
        arguments.out.mkdir(parents=True, exist_ok=True)
        file = arguments.out / "index.html"
        write_text_atomically(file, page(runs, arguments.metrics, arguments.title))
        print(file)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sources", nargs="+", help="folders of runs, wandb=<entity>/<project>, rdml=<folder>")
    add("--out", type=Path, default=Path("report"), help="folder of index.html")
    add("--metrics", nargs="+", default=["recall@1", "map@r", "nmi"], help="columns of the tables")
    add("--title", default="Deep metric learning, runs", help="title of the page")
    add("--cache", type=Path, default=CACHE, help="folder that keeps downloads")
    add("--refresh", action="store_true", help="download again what may have changed")
    return parser


if __name__ == "__main__":
    main()
