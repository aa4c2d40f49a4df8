"""Content hash: names all that embeddings depend on, with the state of each image file."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import pandas as pd

from datasets.image_path import is_inline, split_archive


def identities(rows: pd.DataFrame) -> list[Any]:
    """Rows of the table, and size and time of each image file."""
    values = rows.astype(object).where(rows.notna(), None).to_numpy().tolist()
    return [[*row, state_of(path)] for row, path in zip(values, rows["path"], strict=True)]


def state_of(path: str) -> list[int]:
    """Size and modification time of the file that holds an image; empty if there is none."""
    inside = split_archive(path)
    try:
        state = None if is_inline(path) else os.stat(inside[0] if inside else path)  # noqa: PTH116
    except OSError:
        return []
    return [] if state is None else [state.st_size, state.st_mtime_ns]


def hash_of(content: Sequence[Any]) -> str:
    """SHA-256 of plain data, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
