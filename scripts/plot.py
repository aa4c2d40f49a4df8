"""Draw figures of runs for a paper:  python -m scripts.plot runs/ --out figures/

Curves over epochs, Recall@1 against ρ, bars of Recall@1, each metric against Recall@1 with a fitted
line, correlations between metrics, mean ranks over datasets with their critical difference, and the
share of runs above each Recall@1; each as PDF and PNG, in the width of one or two columns. A figure
whose numbers are missing is left out, with the reason. docs/results.md explains them.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from core.errors import UserError
from engine.config.error_line import user_errors_as_one_line
from evaluation.figures.style import MARKERS, WIDTHS, save
from reporting.figures.correlations import correlations
from reporting.figures.critical_difference import critical_difference
from reporting.figures.curves import curves, history
from reporting.figures.means import means
from reporting.figures.method_styles import BEST, MethodStyles, method_styles
from reporting.figures.performance_profile import performance_profiles
from reporting.figures.ranking import ranking
from reporting.figures.recall_rho import recall_rho
from reporting.figures.relations import RECALL, relations
from reporting.names import printed_rows, read_names
from reporting.readers.sources import CACHE, read_all
from tracking.console import READINGS

KINDS = ("pdf", "png")
Drawing = tuple[str, Callable[[], Figure]]  # name of a figure, and how to draw it


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    with user_errors_as_one_line():
        if not 0 < arguments.best <= len(MARKERS):
            raise UserError(f"--best is 1 to {len(MARKERS)}, got {arguments.best}")
        runs = read_all(arguments.sources, arguments.cache, arguments.refresh)
        finished = [run for run in runs if run.state == "finished"]
        table = means(finished, arguments.reading)
        if (RECALL, "mean") not in table:
            raise UserError(f"no finished run has {RECALL} in the reading {arguments.reading}")
        arguments.out.mkdir(parents=True, exist_ok=True)
        own_names = read_names(arguments.names) if arguments.names else {}
        profile = partial(performance_profiles, finished, "recall@1", arguments.reading)
        styles = styles_by_dataset(table, arguments.best, own_names)
        width = WIDTHS[arguments.columns]
        drawings: Iterator[Drawing] = chain(
            figures(table, styles, width),
            epochs(history(finished), styles, arguments.metrics, width),
            [("performance_profile", profile)],
        )
        for name, draw in drawings:
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
    table: pd.DataFrame, styles: Mapping[str, MethodStyles], width: float
) -> Iterator[Drawing]:
    """Name of each figure of one epoch, and how to draw it."""
    yield "metric_relations", partial(relations, table)
    yield "metric_correlations", partial(correlations, table)
    for dataset, own in styles.items():
        yield f"recall_rho_{dataset}", partial(recall_rho, table, dataset, own, width)
        yield f"ranking_{dataset}", partial(ranking, table, dataset, own, width)
    over_datasets = pd.DataFrame(table[RECALL, "mean"].unstack("method"))
    yield "critical_difference", partial(critical_difference, over_datasets, "Recall@1")


def epochs(
    measured: pd.DataFrame,
    styles: Mapping[str, MethodStyles],
    metrics: Sequence[str],
    width: float,
) -> Iterator[Drawing]:
    """Name of each figure over epochs, and how to draw it."""
    for dataset, own in styles.items():
        for metric in metrics:
            draw = partial(curves, measured, dataset, f"test/{metric}", own, width)
            yield f"curves_{metric}_{dataset}", draw


def styles_by_dataset(
    table: pd.DataFrame, best: int, names: Mapping[str, str]
) -> dict[str, MethodStyles]:
    """Styles of the methods of each dataset: a method has one style in all of its figures."""
    return {
        str(dataset): method_styles(scores, printed_rows(list(scores.index), names), best)
        for dataset, scores in (
            (dataset, own.droplevel("dataset").dropna())
            for dataset, own in table[RECALL, "mean"].groupby("dataset")
        )
    }


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.plot",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("sources", nargs="+", help="folders of runs, wandb=<entity>/<project>, rdml=<folder>")
    add("--out", type=Path, default=Path("figures"), help="folder of the figures")
    add("--columns", type=int, choices=WIDTHS, default=2, help="width, in columns of a page")
    add("--metrics", nargs="+", default=["recall@1", "map@r"], help="of the curves over epochs")
    add("--best", type=int, default=BEST, help="number of highlighted methods; the others are grey")
    add("--names", type=Path, metavar="FILE", help="CSV of plain name, printed name of methods")
    add("--reading", choices=READINGS, default="last", help="which epoch; Roth et al.: oracle")
    add("--cache", type=Path, default=CACHE, help="folder that keeps downloads")
    add("--refresh", action="store_true", help="download again what may have changed")
    return parser


if __name__ == "__main__":
    main()
