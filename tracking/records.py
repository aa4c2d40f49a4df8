"""Measurements on disk: one JSON object per line, appended, readable while the run is alive."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.files import writing

Record = dict[str, Any]


class Records:
    """`metrics.jsonl`: lines `{"step": s, "epoch": e, "time": t, "<split>/<metric>": value, ...}`.

    A line is written by one call and is on the disk when `append` returns. A kill can leave half
    a last line; it is never read, and the next append starts after the last whole one.
    A value that is not finite is null, which every JSON reader understands.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self.truncate(self.size)

    @property
    def size(self) -> int:
        """Bytes up to the end of the last whole line."""
        return self.path.read_bytes().rfind(b"\n") + 1

    def append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(finite(dict(record)), allow_nan=False) + "\n"
        with writing(self.path), self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def truncate(self, size: int) -> None:
        """Keep the first `size` bytes: what was recorded when a checkpoint was written."""
        os.truncate(self.path, min(size, self.size))

    def read(self) -> list[Record]:
        return [json.loads(line) for line in self.path.read_bytes()[: self.size].splitlines()]

    def frame(self) -> pd.DataFrame:
        """One row per record, one column per name."""
        return pd.DataFrame(self.read())


def finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None in the place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: finite(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
