"""Identity of the data: compares the data of a run with the data that it was trained on.

The run folder stores the table in `table.csv.gz`, with the size of every image and its path
relative to the data folder, which may move; `data.json` stores the state of the files.
"""

import gzip
import hashlib
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd

from core.errors import UserError
from core.files import write_atomically
from datasets.image_path import is_inline
from datasets.reader import size_of
from datasets.table import Table
from tracking.data_files import INLINE, UNREADABLE, files_of
from tracking.run_folder import RunFolder

COLUMNS = ("path", "label", "split", "is_query", "is_gallery", "category", "bytes")
MAX_LENGTH = 60  # of a value in a message, in characters


class ChangedDataError(UserError):
    """The data of a run have changed since its training; the message says what changed."""


def record_or_check_data(folder: RunFolder, table: Table, *, first: bool) -> Table:
    """Record the table of a new run; compare the table of a resumed run with its record.

    Args:
        folder: the folder of the run.
        table: the table that the run reads now.
        first: whether this is the first process, which writes the folder; the others do nothing.

    Raises:
        ChangedDataError: a run that has a checkpoint was trained on other data.
    """
    if first:
        now = comparable_table(table, folder.data_root)
        if any(folder.checkpoints.glob("*.pt")):
            check_same_table(folder, now)
        write_data_record(folder, now, table.attrs.get("sources"))
    return table


def check_same_data(folder: RunFolder, table: Table) -> None:
    """Compare the data of a finished run with its record, because sizes or times of files changed.

    Raises:
        ChangedDataError: the data differ, not only their files.
    """
    now = comparable_table(table, folder.data_root)
    check_same_table(folder, now)
    # the files are a copy: record their new state, so that the next check is quick
    write_data_record(folder, now, table.attrs.get("sources"))


def check_same_table(folder: RunFolder, now: Table) -> None:
    """Check that a table equals the recorded one.

    Raises:
        ChangedDataError: names the columns or images that differ.
    """
    before = read_recorded_table(folder)
    if before is None:  # runs of earlier versions recorded none
        return
    if (changed := table_difference(with_repaired_sizes(before, now, folder), now)) is not None:
        raise ChangedDataError(
            f"the data are not those that {folder.path} was trained on: {changed}; restore them, "
            "or give the same command with force=true, which starts it afresh"
        )


def with_repaired_sizes(before: Table, now: Table, folder: RunFolder) -> Table:
    """The recorded table, with new sizes for images whose damage made the run fail."""
    sizes = dict(zip(now["path"], now["bytes"], strict=True))
    broken = [
        path
        for path in before["path"]
        if folder.failure and full_path(path, folder) in folder.failure
    ]
    chosen = before["path"].isin(broken) & before["path"].isin(sizes)
    return before.assign(bytes=before["bytes"].mask(chosen, before["path"].map(sizes)))


def full_path(path: str, folder: RunFolder) -> str:
    """The path of an image on this machine."""
    return str((folder.data_root or Path()) / path)


def comparable_table(table: Table, root: Path | None) -> Table:
    """The table as text, with sizes in bytes and paths that do not depend on the data folder."""
    paths = table["path"].tolist()
    names = [portable_path(path, root) for path in paths]
    sizes = [size_of(path) for path in paths]
    return table.assign(path=names, bytes=sizes)[list(COLUMNS)].astype(str).reset_index(drop=True)


def portable_path(path: str, root: Path | None) -> str:
    """The path of an image relative to the data folder; the hash of an image that is not a file."""
    if is_inline(path):
        return INLINE + hashlib.sha256(path.encode()).hexdigest()[:16]
    return path.removeprefix(f"{root}/")


def write_data_record(folder: RunFolder, now: Table, sources: Sequence[str] | None) -> None:
    """Write `table.csv.gz` and `data.json`."""
    root = folder.data_root or Path()
    own = None if sources is None else [portable_path(source, root) for source in sources]
    text = now.to_csv(index=False, lineterminator="\n").encode()
    write_atomically(folder.table, lambda file: file.write(gzip.compress(text, mtime=0)))
    content = {
        "images": len(now),
        "table": hashlib.sha256(text).hexdigest(),
        "sources": own,
        "files": files_of(root, own or (), now["path"]),
    }
    folder.write_json(folder.data, content)


def read_recorded_table(folder: RunFolder) -> Table | None:
    """The recorded table of a run; None if there is no record.

    Raises:
        ChangedDataError: the record is damaged, so that nothing can be compared.
    """
    if not folder.data.exists():
        return None
    try:
        text = gzip.decompress(folder.table.read_bytes())
        if hashlib.sha256(text).hexdigest() != json.loads(folder.data.read_text())["table"]:
            raise ValueError("it is not what was written")
    except UNREADABLE as error:
        raise ChangedDataError(
            f"{folder.table} or {folder.data.name} is damaged: {error}; delete {folder.data}, and "
            "the data of the run are taken for those that it was trained on"
        ) from error
    return pd.read_csv(BytesIO(text), dtype=str, na_filter=False)


def table_difference(before: Table, now: Table) -> str | None:
    """The difference between two comparable tables, in a few words; None if they are equal."""
    if before.equals(now):
        return None
    if before["path"].tolist() == now["path"].tolist():
        return "; ".join(
            column_difference(before, now, column)
            for column in COLUMNS
            if (before[column] != now[column]).any()
        )
    gone = before["path"][~before["path"].isin(now["path"])].tolist()
    new = now["path"][~now["path"].isin(before["path"])].tolist()
    parts = [
        f"{len(paths):,} images are {what}, the first is {paths[0]}"
        for paths, what in ((gone, "gone"), (new, "new"))
        if paths
    ]
    return "; ".join(parts) or "the images are listed in another order, or another number of times"


def column_difference(before: Table, now: Table, column: str) -> str:
    """The number of rows that differ in a column, and the first of them."""
    rows = (before[column] != now[column]).to_numpy().nonzero()[0]
    path, old, new = before["path"][rows[0]], before[column][rows[0]], now[column][rows[0]]
    return (
        f"{column} of {len(rows):,} of {len(now):,} images, the first is {path}: "
        f"it was {old[:MAX_LENGTH]!r} and is {new[:MAX_LENGTH]!r}"
    )
