"""Runs as one HTML page that needs nothing else:  python -m scripts.report runs/ --out report/

Tables that sort and filter, curves, spectra, what each run cost, what failed and why, and in which
settings two runs differ. Sources are those of `python -m scripts.aggregate`.
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
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("sources", nargs="+", help="folders of runs, wandb=<entity>/<project>, rdml=<folder>")
    add("--out", type=Path, default=Path("report"), help="folder of index.html")
    add("--metrics", nargs="+", default=["recall@1", "map@r", "nmi"], help="of the tables")
    add("--title", default="Deep metric learning, runs")
    add("--cache", type=Path, default=CACHE, help="where downloads are kept")
    add("--refresh", action="store_true", help="download again what may have changed")
    return parser


if __name__ == "__main__":
    main()
