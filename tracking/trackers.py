"""Trackers: services and files such as W&B and TensorBoard that get the records of a run, too."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from tracking.metrics_log import Record


class Tracker(Protocol):
    """Tracker: gets the records of a run, which the run folder has anyway.

    No call raises an error or waits long, as a tracker must not stop or delay a run. It is a
    context manager: its end closes the tracker, as failed after an error.
    """

    def resume(self, records: Sequence[Record]) -> None:
        """Get the records up to the checkpoint that a run goes on from; none of a new run.

        Later records are computed again. Afterwards the tracker has every record once, including
        those that it did not get from an earlier process.
        """

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Get a record at optimizer step `step`: `epoch`, and values by `<split>/<metric>`."""

    def log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Get image files by their names."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Get the content of `summary.json`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Trackers:
    """Trackers of a run: passes every call to each of them; there may be none."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = trackers
        self.stack = ExitStack()

    def resume(self, records: Sequence[Record]) -> None:
        for tracker in self.trackers:
            tracker.resume(records)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        for tracker in self.trackers:
            tracker.log(step, values)

    def log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        for tracker in self.trackers:
            tracker.log_images(step, pictures)

    def finish(self, summary: Mapping[str, Any]) -> None:
        for tracker in self.trackers:
            tracker.finish(summary)

    def __enter__(self) -> Self:
        for tracker in self.trackers:
            self.stack.enter_context(tracker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.__exit__(kind, error, trace)
