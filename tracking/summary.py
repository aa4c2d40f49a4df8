"""Summary of a run: its metrics at the last, the selected and the best test evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from tracking.metrics_log import Record

Directions = Mapping[
    str, bool | None
]  # metric without its split -> higher is better; None has no direction
Reading = dict[str, Any]


def summarise(records: Sequence[Record], select_on: str, higher_is_better: Directions) -> Reading:
    """The metrics of a run in three readings, which differ in the choice of the epoch.

        last      the final evaluation
        selected  the evaluation with the best `select_on`, a validation metric; ties: the earliest
        oracle    the best test value of each metric over all evaluations, as Roth et al. 2020
                  report; it uses the test set and is no estimate of generalization. A metric
                  without a direction is read where the test value of `select_on` is best.

    Args:
        records: the records of one run, in order.
        select_on: the selecting metric, such as `val/recall@1`.
        higher_is_better: direction of every metric, see `direction_of`.
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
    """The reason why a validation metric has no value."""
    queries = [record.get("val/num_queries") for record in measured]
    if any(queries):
        return "it is none of the metrics of this run"
    if any(name.startswith("val/") for record in measured for name in record):
        return "no validation image has another one of its class to be found"
    return "there is no validation split"


def evaluations(records: Sequence[Record]) -> list[Record]:
    """The records of evaluations, which measure the test split; the others are training records."""
    return [record for record in records if any(name.startswith("test/") for name in record)]


def reading(record: Record) -> Reading:
    """The step, epoch and metrics of one evaluation."""
    position = {"step": record["step"], "epoch": record["epoch"]}
    return position | {name: value for name, value in record.items() if "/" in name}


def oracle(measured: Sequence[Record], select_on: str, higher_is_better: Directions) -> Reading:
    """The best value of each test metric, and the step of its evaluation."""
    best_selected = best_of(measured, select_on, higher_is_better)
    names = [name for name in measured[-1] if name.startswith("test/")]
    values, steps = {}, {}
    for name in names:
        directed = direction_of(name, higher_is_better) is not None
        chosen = best_of(measured, name, higher_is_better) if directed else best_selected
        values[name], steps[name] = chosen.get(name), chosen["step"]
    return values | {"steps": steps}


def best_of(measured: Sequence[Record], name: str, higher_is_better: Directions) -> Record:
    """The earliest evaluation with the best value of `name`; the last one if none has a value."""
    valued = [record for record in measured if record.get(name) is not None]
    if not valued:
        return measured[-1]
    sign = -1 if direction_of(name, higher_is_better) is False else 1
    return max(valued, key=lambda record: sign * record[name])


def direction_of(name: str, higher_is_better: Directions) -> bool | None:
    """The direction of `<split>/<metric>`, or of `<split>/<part>/<metric>`.

    A part is one of several embeddings of a network; its metrics have the direction that they have
    elsewhere: `test/slice_1/recall@1` that of `recall@1`.
    """
    metric = metric_of(name)
    while metric not in higher_is_better and "/" in metric:
        metric = metric.partition("/")[2]
    return higher_is_better.get(metric)


def metric_of(name: str) -> str:
    """The name of a metric without its split: `test/recall@1` -> `recall@1`."""
    return name.partition("/")[2] or name
