"""The comparison of the data of a run with those that it was trained on.

The run folder keeps the table in `table.csv.gz`, images named from the data folder, so that this
may be moved, with the size of each; and in `data.json` what the files looked like.
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
from tracking.data_files import ELSEWHERE, UNREADABLE, files_of
from tracking.run_folder import RunFolder

COLUMNS = ("path", "label", "split", "is_query", "is_gallery", "category", "bytes")
SHOWN = 60  # letters of a value in a message


class ChangedDataError(UserError):
    """The data are not those that a run was trained on; the message says what changed."""


def record_or_check_data(folder: RunFolder, table: Table, *, first: bool) -> Table:
    """Records the table of a run that begins; compares it with the record of one that goes on.

    Args:
        folder: of the run.
        table: that it reads now.
        first: whether this process keeps the folder; another one does nothing here.

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
    """Compare the data of a finished run, whose files are not as they were, with its record.

    Raises:
        ChangedDataError: the results are of other data.
    """
    now = comparable_table(table, folder.data_root)
    check_same_table(folder, now)
    write_data_record(
        folder, now, table.attrs.get("sources")
    )  # a copy; the next look at it takes a moment


def check_same_table(folder: RunFolder, now: Table) -> None:
    """Refuses a table that differs from the recorded one.

    Raises:
        ChangedDataError: names the columns or images that differ.
    """
    before = read_recorded_table(folder)
    if before is None:  # it is of a time when runs recorded none
        return
    if (changed := table_difference(with_repaired_sizes(before, now, folder), now)) is not None:
        raise ChangedDataError(
            f"the data are not those that {folder.path} was trained on: {changed}; restore them, "
            "or give the same command with force=true, which starts it afresh"
        )


def with_repaired_sizes(before: Table, now: Table, folder: RunFolder) -> Table:
    """What was recorded, but for the sizes of images that the run could not read when it failed."""
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
    """The table as text, without what a move of the data folder changes, with sizes in bytes."""
    paths = table["path"].tolist()
    names = [portable_path(path, root) for path in paths]
    sizes = [size_of(path) for path in paths]
    return table.assign(path=names, bytes=sizes)[list(COLUMNS)].astype(str).reset_index(drop=True)


def portable_path(path: str, root: Path | None) -> str:
    """The name of an image from the data folder; of one that is no file, its hash."""
    if is_inline(path):
        return ELSEWHERE + hashlib.sha256(path.encode()).hexdigest()[:16]
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
    """The table of a run as `write_data_record` wrote it; None if it did not.

    Raises:
        ChangedDataError: it is damaged, so that nothing can be compared.
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
    """What differs between two described tables, in a few words; None if nothing does."""
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
    said = [
        f"{len(paths):,} images are {what}, the first is {paths[0]}"
        for paths, what in ((gone, "gone"), (new, "new"))
        if paths
    ]
    return "; ".join(said) or "the images are listed in another order, or another number of times"


def column_difference(before: Table, now: Table, column: str) -> str:
    """How many rows differ in a column, and the first of them."""
    rows = (before[column] != now[column]).to_numpy().nonzero()[0]
    path, old, new = before["path"][rows[0]], before[column][rows[0]], now[column][rows[0]]
    return (
        f"{column} of {len(rows):,} of {len(now):,} images, the first is {path}: "
        f"it was {old[:SHOWN]!r} and is {new[:SHOWN]!r}"
    )
