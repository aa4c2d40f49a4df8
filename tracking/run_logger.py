"""Logger of a run: appends every record to the run folder, then sends it to a tracker."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from tracking.metrics_log import MetricsLog
from tracking.summary import Directions, Reading, best_of, evaluations, summarise


class LoggerBackend(Protocol):
    """Logger backend: sends records to a tracker such as W&B; its failures never stop a run."""

    def log(self, step: int, values: Mapping[str, Any]) -> None: ...

    def finish(self, summary: Mapping[str, Any]) -> None: ...


class RunLogger:
    """Logger of a run: appends records to the run folder, and compares its evaluations.

    Args:
        records: the metrics log of the run.
        backend: sends the same records to a tracker.
        higher_is_better: direction of every metric, without its split; None has no direction.
    """

    def __init__(
        self, records: MetricsLog, backend: LoggerBackend, higher_is_better: Directions
    ) -> None:
        self.records, self.backend, self.higher_is_better = records, backend, higher_is_better

    def record(self, step: int, epoch: float, values: Mapping[str, Any]) -> None:
        """Append a record to the metrics log and send it to the tracker."""
        self.records.append({"step": step, "epoch": epoch, "time": round(time.time(), 3), **values})
        self.backend.log(step, {"epoch": epoch, **values})

    def rewind(self, size: int) -> None:
        """Remove all records after the first `size` bytes, the size that a checkpoint stores."""
        self.records.truncate(size)

    @property
    def evaluated(self) -> bool:
        """Whether the run has a record of an evaluation."""
        return bool(evaluations(self.records.read()))

    def improved(self, name: str) -> bool:
        """Whether the latest evaluation is the best so far in `name`, where it is measured."""
        seen = evaluations(self.records.read())
        return name in seen[-1] and best_of(seen, name, self.higher_is_better) is seen[-1]

    def summary(self, select_on: str) -> Reading:
        """The last, selected and oracle readings of the run."""
        return summarise(self.records.read(), select_on, self.higher_is_better)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Send the summary of the finished run to the tracker."""
        self.backend.finish(summary)
