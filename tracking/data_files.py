"""Data files: detects whether the files that a run read its data from have changed.

The module imports only the standard library, so that a finished run is shown quickly, without
reading its data.
"""

import csv
import gzip
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from datasets.image_path import split_archive
from tracking.run_folder import RunFolder, checksum

log = logging.getLogger(__name__)

UNREADABLE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, csv.Error)
INLINE = "data:"  # prefix of the name of an image that is not a file


def same_files(folder: RunFolder) -> bool:
    """Whether the data files of a run are unchanged since `data.json` was written.

    Image files must have the same sizes and modification times, folders the same times, and index
    files, such as a CSV, the same bytes. If they do not, the caller must read and compare the table
    itself, as a copy of the same data has other times.

    Also true for a run of an earlier version, which recorded nothing; and, with a warning, if all
    files are missing, so that results can be shown on a machine without the data.
    """
    if folder.data_root is None or not folder.data.exists():
        return True
    try:
        recorded = json.loads(folder.data.read_text())
        sources, state = recorded["sources"], recorded["files"]
        if sources is None:  # the reader of the dataset reports no sources
            return False
        found = files_of(folder.data_root, sources, image_paths(folder.table))
    except UNREADABLE:
        return False
    if found["number"] and found["number"] == found["missing"]:
        log.warning("the data of %s are not in %s: not compared", folder.path, folder.data_root)
        return True
    return bool(found == state)


def files_of(root: Path, sources: Iterable[str], images: Iterable[str]) -> dict[str, Any]:
    """Number of files, number of missing files, and a hash of the sizes and times of all files.

    Args:
        root: folder that relative names start from.
        sources: index files, and folders that were searched for images.
        images: paths in the table; an image in an archive stands for the archive.
    """
    files = sorted({file_of(image) for image in images if not image.startswith(INLINE)})
    stamps = [index_stamp(root / source) for source in sources]
    stamps += [stamp(root / file) for file in files]
    digest = hashlib.sha256(json.dumps([*sources, *files, *stamps]).encode()).hexdigest()
    return {"number": len(stamps), "missing": stamps.count(None), "sha256": digest}


def file_of(image: str) -> str:
    """The file of an image, or the archive that contains it."""
    archive = split_archive(image)
    return archive[0] if archive else image


def index_stamp(path: Path) -> Sequence[object] | None:
    """The hash of the bytes of an index file; the stamp of a folder or archive."""
    if path.suffix == ".zip" or not path.is_file():
        return stamp(path)
    return [checksum(path)]


def stamp(path: Path) -> Sequence[object] | None:
    """Size and modification time of a file; only the time of a folder; None if it is missing."""
    try:
        found = os.stat(path)  # noqa: PTH116  # there are tens of thousands of them
    except OSError:
        return None
    return [None if path.is_dir() else found.st_size, found.st_mtime_ns]


def image_paths(table: Path) -> list[str]:
    """The image paths in `table.csv.gz`, its first column."""
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        return [row[0] for row in rows]
