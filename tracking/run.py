"""What a run tells the world: every record goes to the folder first, then to its mirrors."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tracking.records import Record, Records


class Mirror(Protocol):
    """Shows records somewhere else; it may fail, but never stop a run."""

    def log(self, step: int, values: Mapping[str, Any]) -> None: ...


class Run:
    """The records of one run, on disk and in its mirror.

    Args:
        records: the truth.
        mirror: W&B, or nothing.
        announce: is handed one line per evaluation.
    """

    def __init__(self, records: Records, mirror: Mirror, announce: Callable[[str], None]) -> None:
        self.records, self.mirror, self.announce = records, mirror, announce

    def record(self, step: int, epoch: float, values: Mapping[str, Any]) -> None:
        self.records.append({"step": step, "epoch": epoch, "time": round(time.time(), 3), **values})
        self.mirror.log(step, {"epoch": epoch, **values})

    def rewind(self, size: int) -> None:
        """Drop what was recorded after the checkpoint that remembers `size`."""
        self.records.truncate(size)

    @property
    def size(self) -> int:
        return self.records.size

    def evaluations(self) -> list[Record]:
        """The records that hold measurements of a split other than the training steps."""
        return [record for record in self.records.read() if "test/num_queries" in record]
