"""Background tracker: base class of trackers, whose failures and delays never reach the run."""

import logging
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np

from core.errors import in_one_line
from core.ranges import NonNegativeFloat
from tracking.background_calls import BackgroundCalls
from tracking.metrics_log import Record
from tracking.tracked_values import origin, summary_numbers

log = logging.getLogger(__name__)
INTERRUPT_TIMEOUT = 5.0  # seconds that a client has at the end of an interrupted run
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")  # in a URL


class BackgroundTracker(ABC):
    """Background tracker: calls its client in a thread, so that a run never waits for it.

    The run waits at most `timeout` seconds at the start and at the end of the tracker, and not at
    all between them. The first error, or a call that takes longer than `timeout`, is reported in
    one line and ends the tracker.

    Args:
        timeout: seconds.
        folder: the run folder. Its last three parts, dataset, group and seed, give the name
            `<group>_s<seed>`.
        config: the resolved configuration, as plain containers.
        name: name of an evaluation of the run; None is the run itself.
        enabled: False calls nothing.

    Attributes:
        client: name of the client in messages.
        needs: modules that the client imports, with the packages that install them, if they are
            not in requirements.txt.
        failed: whether nothing is logged any more.
    """

    client: ClassVar[str]
    needs: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        timeout: NonNegativeFloat,
        *,
        folder: Path,
        config: Mapping[str, Any],
        name: str | None = None,
        enabled: bool = True,
    ) -> None:
        self.timeout, self.folder, self.config, self.name = timeout, folder, config, name
        self.dataset, self.group, seed = folder.parts[-3:]
        self.run_name = "_".join(filter(None, [self.group, seed.replace("seed", "s"), name]))
        self.job_type = "evaluation" if name else "training"
        self.failed, self.calls = not enabled, BackgroundCalls()
        with global_random_state_unchanged():
            self._call(self._start)
            self._wait()

    def resume(self, records: Sequence[Record]) -> None:
        """Log the records that the tracker lacks, see `tracking.trackers.Tracker.resume`."""
        for record in records:
            self._call(partial(self._log_again, record))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Log `values` at optimizer step `step`."""
        self._call(lambda: self._log(step, values))

    def log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Log image files as `pictures/<name>` at `step`, where the client has images."""
        self._call(lambda: self._log_images(step, pictures))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Log readings as `last/test/recall@1` and so on, the cost, the folder and the commit."""
        self._call(lambda: self._finish(summary_numbers(summary), origin(self.folder)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the client, after an error as failed, once all calls are done."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.timeout = min(self.timeout, INTERRUPT_TIMEOUT)
        self._call(lambda: self._close(kind))
        self._wait()

    @abstractmethod
    def _start(self) -> None:
        """Start the client, or go on with what it has of this run."""

    @abstractmethod
    def _log(self, step: int, values: Mapping[str, Any], time: float | None = None) -> None:
        """Log a record; `time` in seconds since 1970, None is now."""

    @abstractmethod
    def _log_images(self, step: int, pictures: Mapping[str, Path]) -> None: ...

    @abstractmethod
    def _finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None: ...

    @abstractmethod
    def _close(self, error: type[BaseException] | None) -> None: ...

    def _log_again(self, record: Record) -> None:
        """Log a record of the run folder that an earlier process may have logged."""
        values = {name: value for name, value in record.items() if name not in ("step", "time")}
        self._log(record["step"], values, record.get("time"))

    def _remedy(self) -> str:
        """What the user may do after a failure, as the end of a message."""
        return ""

    def _abandon(self) -> None:  # noqa: B027 - most clients need nothing
        """End what would wait for a client that hangs."""

    def _call(self, call: Callable[[], object]) -> None:
        """Let the thread call the client, unless it has failed before."""
        self._report_failure()
        if not self.failed:
            self.calls.add(call)

    def _wait(self) -> None:
        if not self.failed:
            self.calls.wait(self.timeout)
            self._report_failure()

    def _report_failure(self) -> None:
        error = self.calls.failure(self.timeout)
        if error is None or self.failed:
            return
        self.failed = True
        if self.calls.is_hanging:
            self._abandon()
        reason = CREDENTIALS.sub("", in_one_line(error))
        everything = f"the run folder has everything{self._remedy()}"
        log.warning("%s stopped mirroring (%s); %s", self.client, reason, everything)


@contextmanager
def global_random_state_unchanged() -> Iterator[None]:
    """Restore the random numbers of Python and NumPy, which the import of a client may draw."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
