"""Every pair of methods, tested over seeds, and all methods over datasets, as Markdown."""

from collections.abc import Sequence
from math import isnan
from statistics import mean

import pandas as pd

from reporting import statistics
from reporting.across_datasets import (
    Estimate,
    interquartile_mean,
    probability_of_improvement,
    scores_by_method,
)
from reporting.directions import directions
from reporting.run import Run
from reporting.table import Columns, Values, values_of
from reporting.writers.markdown import escape


def render(runs: Sequence[Run], metrics: Sequence[str], reading: str, split: str) -> str:
    """One table per dataset and metric; differences of rates in percent points."""
    parts = [
        f"Paired t-tests over the seeds that both have, two-sided, Holm-corrected within a table. "
        f"Reading: {reading}, {split} split.\n"
    ]
    for (dataset, metric), values in values_of(runs, metrics, reading, split).items():
        lines = ["| method | other | difference | 95 % interval | n | p | p (Holm) |"]
        lines.append("|---|---|---:|---:|---:|---:|---:|")
        lines += [shown(*row) for row in tests(values).itertuples(index=False, name=None)]
        parts.append(f"### {escape(dataset)}, {escape(metric)}\n\n" + "\n".join(lines) + "\n")
    found = values_of(runs, metrics, reading, split)
    higher = directions([run.config for run in runs], metrics)
    for metric in metrics:
        parts += [
            ranks(metric, found, higher[metric]),
            over_datasets(metric, found, higher[metric]),
        ]
    return "\n".join(filter(None, parts))


def shown(
    method: str, other: str, mean: float, low: float, high: float, p: float, n: int, p_holm: float
) -> str:
    """A row; what one common seed, or none, cannot tell is left empty."""
    difference = "" if isnan(mean) else f"{mean:+.2f}"
    interval = "" if isnan(low) else f"{low:+.2f} .. {high:+.2f}"
    p_values = ["" if isnan(value) else f"{value:.2g}" for value in (p, p_holm)]
    cells = [escape(method), escape(other), difference, interval, str(n), *p_values]
    return f"| {' | '.join(cells)} |"


def ranks(metric: str, columns: Columns, higher_is_better: bool | None) -> str:
    """Mean ranks over datasets; nothing where there are too few, or no better direction."""
    if higher_is_better is None:
        return ""
    try:
        found = statistics.ranks(means_of(columns, metric), higher_is_better)
    except ValueError:
        return ""
    return (
        f"Mean ranks over {found.num_datasets} datasets, {metric}: "
        + ", ".join(f"{escape(str(name))} {rank:.2f}" for name, rank in found.mean.items())
        + f". {found.friedman}; "
        f"critical difference {found.critical:.2f} (Nemenyi, 5 %).\n"
    )


def over_datasets(metric: str, columns: Columns, higher_is_better: bool | None) -> str:
    """Interquartile means, and the probability that the best method is better than each other."""
    if higher_is_better is None:
        return ""
    try:
        scores = scores_by_method(columns, metric)
    except ValueError:
        return ""
    means = {name: interquartile_mean(own) for name, own in scores.items()}
    order = sorted(means, key=lambda name: means[name].value, reverse=higher_is_better)
    heads = ["method", "interquartile mean", "95 % interval", f"P({order[0]} is better)"]
    lines = [
        f"Runs of all datasets, {escape(metric)}:\n",
        f"| {' | '.join(map(escape, heads))} | 95 % interval |",
        "|---|" + "---:|" * 4,
    ]
    for name in order:
        better = probability_of_improvement(scores[order[0]], scores[name], higher_is_better)
        cells = [*shown_estimate(means[name], 1), *shown_estimate(better, 2)]
        cells[2:] = cells[2:] if name != order[0] else ["", ""]
        lines.append(f"| {' | '.join([escape(name), *cells])} |")
    return "\n".join(lines) + "\n"


def shown_estimate(found: Estimate, digits: int) -> list[str]:
    """The value, and its interval if there is one."""
    interval = f"{found.low:.{digits}f} .. {found.high:.{digits}f}"
    return [f"{found.value:.{digits}f}", "" if isnan(found.low) else interval]


def means_of(columns: Columns, metric: str) -> pd.DataFrame:
    """dataset x method, of the means over seeds."""
    chosen = {dataset: own for (dataset, name), own in columns.items() if name == metric}
    means = {d: {m: mean(v.values()) for m, v in own.items()} for d, own in chosen.items()}
    return pd.DataFrame(means).T


def tests(values: Values) -> pd.DataFrame:
    """Every pair of methods of one column: difference, 95 % interval, p-value, Holm's p-value."""
    names = list(values)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = [statistics.paired(values[a], values[b]) for a, b in pairs]
    frame = pd.DataFrame(found, columns=list(statistics.Difference._fields))
    frame.insert(0, "method", [a for a, _ in pairs])
    frame.insert(1, "other", [b for _, b in pairs])
    frame["p_holm"] = statistics.holm(list(frame.p))
    return frame
