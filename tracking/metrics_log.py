"""Measurements on disk: one JSON object per line, appended, readable while the run is alive."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import DamagedFileError, explain_write_errors

ADVICE = "put the file back, or start the run again with force=true"
Record = dict[str, Any]


class MetricsLog:
    """`metrics.jsonl`: lines `{"step": s, "epoch": e, "time": t, "<split>/<metric>": value, ...}`.

    A line is written by one call and is on the disk when `append` returns. A kill can leave half
    a last line; it is never read, and the next append starts after the last whole one.
    A value that is not finite is null, which every JSON reader understands.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.trimmed = path, False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()

    @property
    def size(self) -> int:
        """Bytes up to the end of the last whole line."""
        return self.path.read_bytes().rfind(b"\n") + 1

    def checksum(self, size: int) -> str:
        """SHA-256 of the first `size` bytes."""
        return hashlib.sha256(self.path.read_bytes()[:size]).hexdigest()

    def append(self, record: Mapping[str, Any]) -> None:
        if not self.trimmed:
            self.truncate(self.size)
        line = json.dumps(finite(dict(record)), allow_nan=False) + "\n"
        with explain_write_errors(self.path), self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def truncate(self, size: int) -> None:
        """Keep the first `size` bytes: what was recorded when a checkpoint was written."""
        os.truncate(self.path, min(size, self.size))
        self.trimmed = True

    def read(self) -> list[Record]:
        """Every whole line.

        Raises:
            DamagedFileError: a line is no record; names it.
        """
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return [record_in(line, self.path, number) for number, line in enumerate(lines, start=1)]


def record_in(line: bytes, path: Path, number: int) -> Record:
    """The record in a line of `path`, the `number`-th from 1.

    Raises:
        DamagedFileError: there is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path}, line {number}, is damaged ({error}); {ADVICE}") from error
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        raise DamagedFileError(f"{path}, line {number}, is damaged (no step); {ADVICE}")
    return record


def finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None in the place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
