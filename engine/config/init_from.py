"""Key `init_from`: the checkpoint that it names, and the checksum of the weights in it.

The checksum is part of the name of a run folder. A run records it, so that a run that goes on needs
neither torch nor the checkpoint to find its folder.
"""

import logging
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.files import DamagedFileError
from engine.config.errors import ConfigurationError
from tracking.data_files import stamp
from tracking.run_folder import RunFolder

log = logging.getLogger(__name__)


def checkpoint_of(init_from: str) -> Path:
    """The checkpoint file that a run folder or the path of a checkpoint stands for."""
    path = Path(init_from).expanduser().resolve()
    is_file = path.is_file() or path.suffix == ".pt"
    return path if is_file else path / "checkpoints" / "last.pt"


def existing_checkpoint(init_from: str) -> Path:
    """The checkpoint file, which exists.

    Raises:
        ConfigurationError: there is no such path, or the folder has no checkpoint.
    """
    checkpoint = checkpoint_of(init_from)
    if checkpoint.is_file():
        return checkpoint
    folder = Path(init_from).expanduser().resolve()
    if not folder.is_dir():
        raise ConfigurationError(
            f"init_from={init_from}: does not exist; it names a run folder, "
            "runs/<dataset>/<group>/seed<k>, or a checkpoint in one"
        )
    seeds = sorted(path.parents[1].name for path in folder.glob("*/checkpoints/last.pt"))
    similar = f", did you mean {init_from.rstrip('/')}/{seeds[0]}?" if seeds else ""
    raise ConfigurationError(f"init_from={init_from}: has no checkpoints/last.pt{similar}")


def weights_checksum(init_from: str, runs: Path) -> str:
    """SHA-256 of the weights in a checkpoint; the recorded one, if it is unchanged or gone.

    A checkpoint that has changed since a run began from it is warned of, because the same command
    is then another run.

    Args:
        init_from: a run folder or a checkpoint.
        runs: the parent folder of all runs, with the records of those that began from it.

    Raises:
        ConfigurationError: there is no such checkpoint, and no run began from it.
        CheckpointError: it is damaged, or no checkpoint of a run.
    """
    checkpoint = checkpoint_of(init_from)
    now = stamp(checkpoint)
    known = [one for one in _records(runs) if one.get("checkpoint") == str(checkpoint)]
    for record in known:
        if now in (None, record.get("stamp")):
            return str(record["sha256"])
    found = _checksum_of(init_from, tuple(now or ()))
    if known and found not in [record["sha256"] for record in known]:
        log.warning(
            "init_from=%s: its weights have changed since a run began from them; this is another "
            "run",
            init_from,
        )
    return found


@cache
def _checksum_of(init_from: str, _stamp: tuple[object, ...]) -> str:
    """The checksum of the weights in a checkpoint, read once in a sweep of many runs."""
    # imported here because it imports torch, which takes seconds
    from engine.initial_weights import read_initial_weights

    return read_initial_weights(init_from).sha256


def _records(runs: Path) -> Iterator[Mapping[str, Any]]:
    """What runs recorded of their initial weights, the newest first; damaged records are none."""
    files = runs.glob(f"*/*/seed*/{RunFolder(runs).init_from.name}")
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        try:
            record = RunFolder(file.parent).read_json(file)
        except DamagedFileError:
            continue
        if "sha256" in record:
            yield record
