"""Compare two evaluations query by query:  python -m scripts.compare <before> <after>

Both are queries.parquet files that `python -m scripts.evaluate` wrote, or their folders, of the
same split of the same dataset. Prints the means of both over the queries that have a relevant
image, the difference with its bootstrap interval, and the queries that changed most.

    python -m scripts.compare runs/cub200/<group> runs/cub200/<other group> [<evaluation>]

compares two methods over the seeds that both have: the interval is of a bootstrap that draws
seeds and queries together. The name of the evaluation is needed where a run has several.

`--out figures/` draws two evaluations, as PDF and PNG: the rank of the first hit of each query
before and after, and the queries that become right and wrong with their neighbours.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from core.errors import UserError
from datasets.images import Images
from engine.config.error_line import user_errors_as_one_line
from engine.embeddings.embedding_config import embedding_config
from engine.embeddings.given_embeddings import given_embeddings
from engine.evaluated_split import evaluated_split
from engine.run_arguments import run_and_config
from evaluation.figures.query_changes import rank_changes
from evaluation.figures.style import WIDTHS, save
from evaluation.per_query import compare
from reporting.figures.query_changes import query_changes
from reporting.query_comparison import comparison, read_queries
from reporting.seed_comparison import is_group, read_group, seed_comparison

KINDS = ("pdf", "png")


def main(argv: Sequence[str]) -> None:
    if not argv or {"-h", "--help"} & set(argv):
        print(f"{__doc__}\n{parser().format_help()}", end="")
        return
    arguments = parser().parse_args(argv)
    with user_errors_as_one_line():
        try:
            parts = list(compared(arguments.before, arguments.after, arguments.evaluation))
        except ValueError as error:
            raise UserError(str(error)) from error
        console = Console()
        for part in parts:
            console.print(part)
        if arguments.out is not None:
            draw(arguments)


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


def draw(arguments: argparse.Namespace) -> None:
    """Write the figures into a folder; without a change, there are no pictures of queries."""
    if is_group(arguments.before):
        raise UserError("--out draws two evaluations, and these are groups of seeds; name one each")
    tables = read_queries(arguments.before), read_queries(arguments.after)
    both = compare(*tables)
    names = (arguments.names[0], arguments.names[1])
    first, second = (both[f"first_hit_{run}"].to_numpy("int64") for run in ("before", "after"))
    figures = {"rank_changes": rank_changes(first, second, names, WIDTHS[arguments.columns])}
    try:
        images = images_at(arguments.after)
        figures["query_changes"] = query_changes(both, tables, images, names, arguments.queries)
    except ValueError as reason:
        print(f"query_changes left out: {reason}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        for kind in KINDS:
            file = arguments.out / f"{name}.{kind}"
            save(figure, file)
            print(file)


def images_at(path: Path) -> Images:
    """The images of an evaluation in the folder of its run.

    Packages that the evaluation trusted are not trusted here, as the folder may be anybody's.
    """
    folder = path if path.is_dir() else path.parent
    file, run = folder / "metrics.json", folder.resolve().parents[1]
    if not file.is_file():
        raise UserError(
            f"{file} does not exist; --out needs the folder that scripts.evaluate wrote"
        )
    content = json.loads(file.read_text())
    if "embeddings" in content:
        return images_of_embeddings([f"embeddings={content['embeddings']}", *content["overrides"]])
    overrides = [line for line in content["overrides"] if "trust" not in line]
    return evaluated_split(run_and_config([f"run={run}", *overrides])[1])


def images_of_embeddings(arguments: Sequence[str]) -> Images:
    """The images of an evaluation of embeddings from a file.

    Raises:
        ValueError: it names no image files that exist.
    """
    data = given_embeddings(embedding_config(arguments).sources)
    if not data.has_files:
        raise ValueError(f"{arguments[0]} has no column path of image files")
    return data.images


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.compare", add_help=False)
    add = parser.add_argument
    add("before", type=Path, help="folder of an evaluation, its queries.parquet, or a group")
    add("after", type=Path, help="another one, of the same queries")
    add("evaluation", nargs="?", help="its name in the runs of two groups of seeds")
    add("--out", type=Path, help="folder of figures; without it none is drawn")
    add("--names", nargs=2, default=["before", "after"], help="of the two in figures")
    add("--queries", type=int, default=4, help="number that become right and wrong, each")
    add("--columns", type=int, choices=WIDTHS, default=1, help="width of the figure of ranks")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
