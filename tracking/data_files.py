"""The files that the data of a run were read from, and whether they are as they were.

Needs the standard library alone: a finished run is shown in a moment, without reading its data.
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
ELSEWHERE = "data:"  # begins the name of an image that is no file


def same_files(folder: RunFolder) -> bool:
    """Whether the files of a run's data are as `data.json` says.

    Those of the images must have the sizes and times that they had, folders of images the times,
    and index files, such as a CSV, the bytes. If not, the table itself must be read and compared:
    a copy has other times and is the same data.

    Also true of a run that recorded nothing, as runs once did; and, with a warning, where none of
    its files can be found, so that the results can be shown where the data are not.
    """
    if folder.data_root is None or not folder.data.exists():
        return True
    try:
        recorded = json.loads(folder.data.read_text())
        sources, state = recorded["sources"], recorded["files"]
        if sources is None:  # the reader of the dataset names none
            return False
        found = files_of(folder.data_root, sources, names_in(folder.table))
    except UNREADABLE:
        return False
    if found["number"] and found["number"] == found["missing"]:
        log.warning("the data of %s are not in %s: not compared", folder.path, folder.data_root)
        return True
    return bool(found == state)


def files_of(root: Path, sources: Iterable[str], images: Iterable[str]) -> dict[str, Any]:
    """How many files there are, how many of them are missing, and a hash of their stamps.

    Args:
        root: what relative names are relative to.
        sources: index files, and folders that were searched for images.
        images: as a table names them; of a member of an archive, the archive counts.
    """
    files = sorted({file_of(image) for image in images if not image.startswith(ELSEWHERE)})
    stamps = [index_stamp(root / source) for source in sources]
    stamps += [stamp(root / file) for file in files]
    digest = hashlib.sha256(json.dumps([*sources, *files, *stamps]).encode()).hexdigest()
    return {"number": len(stamps), "missing": stamps.count(None), "sha256": digest}


def file_of(image: str) -> str:
    """The file of an image, or the archive that it is in."""
    archive = split_archive(image)
    return archive[0] if archive else image


def index_stamp(path: Path) -> Sequence[object] | None:
    """The hash of a file's bytes; of a folder or an archive, as of an image."""
    if path.suffix == ".zip" or not path.is_file():
        return stamp(path)
    return [checksum(path)]


def stamp(path: Path) -> Sequence[object] | None:
    """Size and time; of a folder, whose size means nothing, the time; None if it is missing."""
    try:
        found = os.stat(path)  # noqa: PTH116  # there are tens of thousands of them
    except OSError:
        return None
    return [None if path.is_dir() else found.st_size, found.st_mtime_ns]


def names_in(table: Path) -> list[str]:
    """The first column of a compressed CSV, without its header."""
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        return [row[0] for row in rows]
