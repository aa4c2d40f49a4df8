"""Table of results: methods by datasets and metrics, as numbers and marks, in no format yet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from core.errors import UserError
from reporting import statistics
from reporting.best import Test, not_worse
from reporting.directions import directions
from reporting.run import Run, tidy
from reporting.statistics import BySeed

Values = dict[str, dict[int, float]]  # method -> seed -> value
Columns = dict[tuple[str, str], Values]  # (dataset, metric) -> its values


@dataclass(frozen=True)
class Cell:
    """Cell: a mean over seeds. Spread and interval are NaN for one seed, or if unknown.

    Args:
        spread: sample standard deviation.
        interval: half of the 95 % t-interval.
        n: number of seeds; None where it is unknown or means nothing.
        tied: not significantly worse than the best.
    """

    mean: float
    spread: float = float("nan")
    interval: float = float("nan")
    n: int | None = None
    best: bool = False
    second: bool = False
    tied: bool = False


@dataclass(frozen=True)
class Column:
    """Column: cells by method, under a dataset and a heading such as `recall@1`."""

    dataset: str
    heading: str
    cells: Mapping[str, Cell]
    digits: int = 1
    signed: bool = False


@dataclass(frozen=True)
class Table:
    """Table: rows are ordered by the first column, best first; notes and commands come below.

    Args:
        caption: which runs these are, one sentence each; LaTeX has it in a note below the table.
        title: short caption, of LaTeX.
        legend: what the numbers and marks are.
    """

    caption: list[str]
    rows: list[str]
    columns: list[Column]
    notes: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    title: str = ""
    legend: str = ""

    @property
    def sentences(self) -> list[str]:
        """Caption and legend."""
        return [*self.caption, *([self.legend] if self.legend else [])]

    @property
    def several_datasets(self) -> bool:
        return len({column.dataset for column in self.columns}) > 1


def tabulate(
    runs: Sequence[Run],
    metrics: Sequence[str],
    reading: str,
    split: str,
    test: Test = "moderated",
) -> Table:
    """Makes the table: mean, spread and marks of every method, dataset and metric.

    Rates are in percent; a metric without a better direction is as measured and has no marks.

    Raises:
        UserError: no run has the reading or the metric; the message names the existing ones.
    """
    values = values_of(runs, metrics, reading, split)
    higher = directions([run.config for run in runs], metrics)
    columns = [
        column(dataset, name, own, higher[name], test) for (dataset, name), own in values.items()
    ]
    rows = sorted({row for own in values.values() for row in own})
    return Table([], best_first(rows, columns[0], higher[metrics[0]]), columns)


def values_of(runs: Sequence[Run], metrics: Iterable[str], reading: str, split: str) -> Columns:
    """(dataset, metric) -> method -> seed -> value, a rate in percent; likewise `Raises`."""
    numbers = tidy(runs)
    numbers = numbers[(numbers.reading == reading) & numbers.metric.str.startswith(f"{split}/")]
    if numbers.empty:
        raise UserError(f"no run has a reading {reading} of the split {split}")
    measured = {str(name).removeprefix(f"{split}/") for name in numbers.metric.unique()}
    rates = directions([run.config for run in runs], metrics)
    found: Columns = {}
    for dataset, own in numbers.groupby("dataset", sort=True):
        for name in metrics:
            if name not in measured:
                there = ", ".join(sorted(measured))
                raise UserError(f"no run measured {split}/{name}; there is {there}")
            chosen = own[own.metric == f"{split}/{name}"]
            for method, seed, value in zip(chosen.method, chosen.seed, chosen.value, strict=True):
                shown = float(value) if rates[name] is None else 100 * float(value)
                of_column = found.setdefault((str(dataset), name), {})
                of_column.setdefault(method, {})[int(seed)] = shown
    return found


def column(
    dataset: str, metric: str, values: Values, higher_is_better: bool | None, test: Test
) -> Column:
    cells = {method: cell(by_seed) for method, by_seed in values.items()}
    if higher_is_better is None:
        return Column(dataset, metric, cells, digits=3)
    return Column(dataset, metric, marked(cells, values, higher_is_better, test))


def cell(values: BySeed) -> Cell:
    numbers = list(values.values())
    spread, interval = statistics.spread(numbers), statistics.half_interval(numbers)
    return Cell(float(np.mean(numbers)), spread, interval, len(numbers))


def marked(
    cells: Mapping[str, Cell], values: Values, higher_is_better: bool, test: Test
) -> dict[str, Cell]:
    """Marks the best, the second and what is not significantly worse; nothing for one method."""
    if len(cells) < 2:
        return dict(cells)
    best, second, *_ = statistics.ranked(values, higher_is_better)
    tied = not_worse(values, higher_is_better, test) - {best}
    return {
        name: replace(own, best=name == best, second=name == second, tied=name in tied)
        for name, own in cells.items()
    }


def best_first(rows: Iterable[str], first: Column, higher_is_better: bool | None) -> list[str]:
    """Rows ordered by the first column; methods that are not in it come last, by name."""
    sign = 1 if higher_is_better is False else -1
    means = {row: sign * first.cells[row].mean for row in rows if row in first.cells}
    return sorted(rows, key=lambda row: (row not in means, means.get(row, 0.0), row))


def missing_seeds(runs: Iterable[Run], seeds: Iterable[int] = ()) -> list[str]:
    """`<dataset>/<group>/seed<k>` of every seed that another group has, or is asked for."""
    present: dict[str, set[int]] = {}
    for run in runs:
        present.setdefault(f"{run.dataset}/{run.group}", set()).add(run.seed)
    expected = set(seeds).union(*present.values())
    return [f"{g}/seed{s}" for g, own in sorted(present.items()) for s in sorted(expected - own)]


def number(value: float, digits: int, signed: bool = False) -> str:
    """Rounded number; zero has no sign."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text if float(text) else text.lstrip("+-")


def printable(text: str) -> str:
    """Text on one line: line breaks and control characters become spaces."""
    return "".join(character if character.isprintable() else " " for character in text)
