"""Metrics log: the measurements of a run in a file with one JSON object per line."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import DamagedFileError, explain_write_errors

HINT = "put the file back, or start the run again with force=true"
Record = dict[str, Any]


class MetricsLog:
    """Metrics log of a run: appends records to `metrics.jsonl` and reads them.

    A line is `{"step": s, "epoch": e, "time": t, "<split>/<metric>": value, ...}`. It is
    written by one call and is on the disk when `append` returns. A kill can leave an incomplete
    last line, which is never read; the next append replaces it. A value that is not finite is
    written as null, as JSON has no such numbers.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.trimmed = path, False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    @property
    def size(self) -> int:
        """Number of bytes up to the end of the last complete line."""
        return self.path.read_bytes().rfind(b"\n") + 1

    def checksum(self, size: int) -> str:
        """SHA-256 of the first `size` bytes."""
        return hashlib.sha256(self.path.read_bytes()[:size]).hexdigest()

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record as the next line."""
        if not self.trimmed:
            self.truncate(self.size)
        line = json.dumps(finite(dict(record)), allow_nan=False) + "\n"
        with explain_write_errors(self.path), self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def truncate(self, size: int) -> None:
        """Keep the first `size` bytes, the records before a checkpoint."""
        os.truncate(self.path, min(size, self.size))
        self.trimmed = True

    def read(self) -> list[Record]:
        """The records of all complete lines.

        Raises:
            DamagedFileError: a line holds no record; names the line.
        """
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [parse_record(line, self.path, number) for number, line in enumerate(lines, start=1)]


def parse_record(line: bytes, path: Path, number: int) -> Record:
    """Parse line `number` of `path`, counted from 1.

    Raises:
        DamagedFileError: the line holds no record.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path}, line {number}, is damaged ({error}); {HINT}") from error
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        raise DamagedFileError(f"{path}, line {number}, is damaged (no step); {HINT}")
    return record


def finite(value: Any) -> Any:  # noqa: ANN401
    """A copy in which None replaces every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
