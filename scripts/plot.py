"""Draw the figures of Roth et al. 2020 for any runs:  python -m scripts.plot runs/ --out figures/

Each metric against Recall@1 with a fitted line, correlations between metrics, Recall@1 against ρ,
bars of Recall@1, mean ranks over datasets with their critical difference, and the share of runs
above each Recall@1; each as PDF and PNG. A figure whose numbers are missing is left out, with the
reason. docs/results.md explains them.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from core.errors import UserError
from engine.config.error_line import user_errors_as_one_line
from evaluation.figures.style import save
from reporting.figures.correlations import correlations
from reporting.figures.critical_difference import critical_difference
from reporting.figures.means import means
from reporting.figures.performance_profile import performance_profiles
from reporting.figures.ranking import ranking
from reporting.figures.recall_rho import recall_rho
from reporting.figures.relations import RECALL, relations
from reporting.readers.sources import CACHE, read_all
from reporting.run import Run
from tracking.console import READINGS

KINDS = ("pdf", "png")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    with user_errors_as_one_line():
        runs = read_all(arguments.sources, arguments.cache, arguments.refresh)
        finished = [run for run in runs if run.state == "finished"]
        table = means(finished, arguments.reading)
        if (RECALL, "mean") not in table:
            raise UserError(f"no finished run has {RECALL} in the reading {arguments.reading}")
        arguments.out.mkdir(parents=True, exist_ok=True)
        for name, draw in figures(table, finished, arguments.reading):
            try:
                figure = draw()
            except ValueError as reason:
                print(f"{name} left out: {reason}")
                continue
            for kind in KINDS:
                file = arguments.out / f"{file_name(name)}.{kind}"
                save(figure, file)
                print(file)


def file_name(name: str) -> str:
    """The name of a run, which anybody may have chosen, without characters of a path."""
    return re.sub(r"[^\w.@+=-]", "_", name)


def figures(
    table: pd.DataFrame, runs: Sequence[Run], reading: str
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Name and how to draw it."""
    yield "metric_relations", partial(relations, table)
    yield "metric_correlations", partial(correlations, table)
    for dataset in table.index.get_level_values("dataset").unique():
        yield f"recall_rho_{dataset}", partial(recall_rho, table, dataset)
        yield f"ranking_{dataset}", partial(ranking, table, dataset)
    over_datasets = pd.DataFrame(table[RECALL, "mean"].unstack("method"))
    yield "critical_difference", partial(critical_difference, over_datasets, "Recall@1")
    yield "performance_profile", partial(performance_profiles, runs, "recall@1", reading)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sources", nargs="+", help="folders of runs, wandb=<entity>/<project>, rdml=<folder>")
    add("--out", type=Path, default=Path("figures"), help="folder of the figures")
    add("--reading", choices=READINGS, default="last", help="which epoch; Roth et al.: oracle")
    add("--cache", type=Path, default=CACHE, help="folder that keeps downloads")
    add("--refresh", action="store_true", help="download again what may have changed")
    return parser


if __name__ == "__main__":
    main()
