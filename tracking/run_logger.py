"""Logger of a run: appends every record to the run folder, then sends it to the trackers."""

import math
import time
from collections.abc import Mapping
from typing import Any

from tracking.metrics_log import MetricsLog, Record
from tracking.summary import (
    Directions,
    Reading,
    best_of,
    direction_of,
    evaluations,
    metric_of,
    summarise,
)
from tracking.trackers import Tracker


class RunLogger:
    """Logger of a run: appends records to the run folder, and compares its evaluations.

    Args:
        records: the metrics log of the run.
        tracker: gets the same records, such as `tracking.trackers.Trackers`.
        higher_is_better: direction of every metric, without its split; None has no direction.
    """

    def __init__(self, records: MetricsLog, tracker: Tracker, higher_is_better: Directions) -> None:
        self.records, self.tracker, self.higher_is_better = records, tracker, higher_is_better

    def record(self, step: int, epoch: float, values: Mapping[str, Any]) -> None:
        """Append a record to the metrics log and send it to the tracker."""
        self.records.append({"step": step, "epoch": epoch, "time": round(time.time(), 3), **values})
        self.tracker.log(step, {"epoch": epoch, **values})

    def rewind(self, size: int) -> None:
        """Remove all records after the first `size` bytes, the size that a checkpoint stores.

        The tracker gets the others, as it may lack some.
        """
        self.records.truncate(size)
        self.tracker.resume(self.records.read())

    @property
    def evaluated(self) -> bool:
        """Whether the run has a record of an evaluation."""
        return bool(evaluations(self.records.read()))

    def improved(self, name: str) -> bool:
        """Whether the latest evaluation is the best so far in `name`, where it is measured."""
        seen = evaluations(self.records.read())
        return name in seen[-1] and best_of(seen, name, self.higher_is_better) is seen[-1]

    def best(self, name: str) -> Record:
        """The evaluation so far with the best value of `name`."""
        return best_of(evaluations(self.records.read()), name, self.higher_is_better)

    def shown_metric(self, results: Mapping[str, Any], select_on: str) -> str | None:
        """The metric of an evaluation that shows how well a run learns; None if none does.

        It is `select_on`; without a validation split the same metric of the test split; if that is
        not measured either, the first metric of the test split that has a direction.
        """
        of_test = [name for name in results if name.startswith("test/")]
        directed = [
            name for name in of_test if direction_of(name, self.higher_is_better) is not None
        ]
        for name in (select_on, f"test/{metric_of(select_on)}", *directed):
            value = results.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                return name
        return None

    def summary(self, select_on: str) -> Reading:
        """The last, selected and oracle readings of the run."""
        return summarise(self.records.read(), select_on, self.higher_is_better)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Send the summary of the finished run to the tracker."""
        self.tracker.finish(summary)
