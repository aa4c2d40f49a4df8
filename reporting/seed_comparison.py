"""Comparison of two methods over their seeds and queries: bootstrap of both together."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table as Grid

from core.errors import UserError
from evaluation.per_query import PerQuery, compare
from reporting.query_comparison import FILE, read_queries

RESAMPLES = 1000
MAX_DRAWS = 2**22  # queries drawn at a time, 8 bytes each

BySeed = Mapping[int, PerQuery]
Array = npt.NDArray[np.float64]


def is_group(path: Path) -> bool:
    """Whether a folder is that of a group, with its seeds, and not one evaluation."""
    return path.is_dir() and not (path / FILE).exists() and any(path.glob("seed*/"))


def read_group(path: Path, evaluation: str | None = None) -> dict[int, PerQuery]:
    """seed -> queries.parquet of the evaluation of that name, or of the only one there is.

    Raises:
        UserError: a group has no evaluation, or several and no name was given.
    """
    files = sorted(path.glob(f"seed*/evaluation/{evaluation or '*'}/{FILE}"))
    names = sorted({file.parent.name for file in files})
    if not files:
        wanted = f"evaluation named {evaluation}" if evaluation else "evaluation"
        raise UserError(f"no seed of {path} has an {wanted}; python -m scripts.evaluate makes it")
    if len(names) > 1:
        raise UserError(f"{path} has several evaluations, name one of {', '.join(names)}")
    return {
        int(file.parents[2].name.removeprefix("seed")): read_queries(file)
        for file in files
        if file.parents[2].name.removeprefix("seed").isdecimal()
    }


def seed_comparison(before: BySeed, after: BySeed) -> Iterator[Grid | str]:
    """Parts to print: both means with the interval of their difference, and how many seeds.

    Raises:
        UserError: no seed is in both.
        ValueError: two evaluations have different queries.
    """
    seeds = sorted(before.keys() & after.keys())
    if not seeds:
        raise UserError(
            f"no common seed: {', '.join(map(str, before))} before, "
            f"{', '.join(map(str, after))} after"
        )
    pairs = [
        compare(before[seed], after[seed]).sort_values("query", ignore_index=True) for seed in seeds
    ]
    if any(not pair[["query", "label"]].equals(pairs[0][["query", "label"]]) for pair in pairs):
        raise ValueError("these are not the same queries: they differ from seed to seed")
    if pairs[0].empty:
        raise UserError("no query of these has anything to find")
    grid = Grid("metric", "before", "after", "change", "95 % interval", box=None)
    for name, column in (("recall@1", "first_hit"), ("map", "average_precision")):
        first, second = (
            np.array([pair[f"{column}_{run}"].to_numpy("float64") for pair in pairs])
            for run in ("before", "after")
        )
        if column == "first_hit":
            first, second = (first == 1).astype(float), (second == 1).astype(float)
        low, high = crossed_interval(second - first)
        grid.add_row(
            name,
            f"{first.mean():.4f}",
            f"{second.mean():.4f}",
            f"{(second - first).mean():+.4f}",
            f"{low:+.4f} .. {high:+.4f}",
        )
    yield grid
    yield (
        f"{len(seeds)} seeds ({', '.join(map(str, seeds))}), {len(pairs[0])} queries; the interval "
        "draws both"
    )


def crossed_interval(
    scores: Array, resamples: int = RESAMPLES, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap of the mean of scores (S, Q) that draws seeds and queries together.

    A resample draws S of the S seeds and Q of the Q queries with replacement and takes all
    combinations (the pigeonhole bootstrap of Owen 2007, https://arxiv.org/abs/0712.1111). The
    interval shows how much the mean varies with training and with the choice of queries, for
    fixed classes; it is rather too wide than too narrow. scipy.stats.bootstrap resamples one
    axis only.

    Args:
        scores: one score for each seed and query; of differences, to compare two methods.
    """
    seeds, queries = scores.shape
    rng = np.random.default_rng(seed)
    rows = max(1, MAX_DRAWS // queries)
    means: list[Array] = []
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size) / seeds
        by_query = rng.multinomial(queries, np.full(queries, 1 / queries), size) / queries
        means.append(((by_query @ scores.T) * by_seed).sum(axis=1))
    low, high = np.quantile(
        np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2]
    ).tolist()
    return low, high
