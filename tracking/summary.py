"""The three readings of a run, never mixed: last, selected and oracle."""

from collections.abc import Mapping, Sequence
from typing import Any

from tracking.metrics_log import Record

Directions = Mapping[str, bool | None]  # metric without its split -> higher is better; None neither
Reading = dict[str, Any]


def summarise(records: Sequence[Record], select_on: str, higher_is_better: Directions) -> Reading:
    """What a run achieved, each number under the name of how its epoch was chosen.

        last      at the final evaluation
        selected  at the evaluation that is best in `select_on`, a validation metric; ties: earliest
        oracle    the best test value over all evaluations, each metric for itself, as Roth et al.
                  2020 report; it looks at the test set and is no estimate of anything. A metric
                  that has no better direction is read where the test twin of `select_on` is best.

    Args:
        records: of one run, in order.
        select_on: such as `val/recall@1`.
        higher_is_better: direction of every metric.
    """
    measured = evaluations(records)
    if not measured:
        raise ValueError("there is nothing to summarise: the run has no evaluation")
    summary: Reading = {"last": reading(measured[-1])}
    if any(record.get(select_on) is not None for record in measured):
        best = best_of(measured, select_on, higher_is_better)
        summary["selected"] = reading(best) | {"selected_on": select_on}
    else:
        summary["selected"] = None
        summary["selected_reason"] = f"{select_on} was never measured: {unmeasured(measured)}"
    summary["oracle"] = oracle(measured, f"test/{metric_of(select_on)}", higher_is_better)
    return summary


def unmeasured(measured: Sequence[Record]) -> str:
    """Why a validation metric has no value."""
    queries = [record.get("val/num_queries") for record in measured]
    if any(queries):
        return "it is none of the metrics of this run"
    if any(name.startswith("val/") for record in measured for name in record):
        return "no validation image has another one of its class to be found"
    return "there is no validation split"


def evaluations(records: Sequence[Record]) -> list[Record]:
    """The records that measure the test split; the others are of training steps."""
    return [record for record in records if any(name.startswith("test/") for name in record)]


def reading(record: Record) -> Reading:
    """One evaluation: its place in the run and its measurements."""
    place = {"step": record["step"], "epoch": record["epoch"]}
    return place | {name: value for name, value in record.items() if "/" in name}


def oracle(measured: Sequence[Record], twin: str, higher_is_better: Directions) -> Reading:
    """The best of each test metric, and the step at which it was best."""
    at_best_twin = best_of(measured, twin, higher_is_better)
    names = [name for name in measured[-1] if name.startswith("test/")]
    values, steps = {}, {}
    for name in names:
        directed = higher_is_better.get(metric_of(name)) is not None
        chosen = best_of(measured, name, higher_is_better) if directed else at_best_twin
        values[name], steps[name] = chosen.get(name), chosen["step"]
    return values | {"steps": steps}


def best_of(measured: Sequence[Record], name: str, higher_is_better: Directions) -> Record:
    """The earliest evaluation with the best value of `name`; the last one if it has no value."""
    valued = [record for record in measured if record.get(name) is not None]
    if not valued:
        return measured[-1]
    sign = -1 if higher_is_better.get(metric_of(name)) is False else 1
    return max(valued, key=lambda record: sign * record[name])


def metric_of(name: str) -> str:
    """`test/recall@1` -> `recall@1`."""
    return name.partition("/")[2] or name
