"""Failed starts: runs that failed before their first evaluation, and their removal."""

import shutil
from collections.abc import Iterable
from contextlib import suppress

from core.files import DamagedFileError
from tracking.run_files import read_records
from tracking.run_folder import RunFolder, RunLockedError
from tracking.summary import evaluations


def failed_starts(folders: Iterable[RunFolder]) -> list[RunFolder]:
    """The runs that failed, have neither an evaluation nor a checkpoint, and that nobody runs."""
    return [one for one in folders if one.lock_owner is None and is_failed_start(one)]


def is_failed_start(folder: RunFolder) -> bool:
    """Whether a run failed, or was refused, before its first evaluation and checkpoint.

    A run with a damaged file is none, because nothing is known of it.
    """
    refused = folder.state == "new" and folder.log.exists()  # before it wrote a status
    if not (refused or folder.state == "failed") or any(folder.checkpoints.glob("*.pt")):
        return False
    try:
        return not evaluations(read_records(folder.metrics))
    except DamagedFileError:
        return False


def remove(folder: RunFolder) -> bool:
    """Remove the folder of a failed start, and the folders above it that it leaves empty.

    Returns whether it was removed: a process may have begun the run in the meantime.
    """
    try:
        with folder.locked():
            if not is_failed_start(folder):
                return False
            shutil.rmtree(folder.path)
    except RunLockedError:
        return False
    for parent in (folder.path.parent, folder.path.parent.parent):  # group and dataset
        with suppress(OSError):  # other runs are in it
            parent.rmdir()
    return True
