"""Checkpoints: save and restore everything that a resumed run needs to give identical results."""

import logging
import random
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import numpy as np
import torch

from core.errors import UserError
from core.files import write_atomically
from engine.checkpoint_checksum import append_checksum, has_checksum, verify_checksum
from engine.state_mismatch import state_mismatch
from tracking.metrics_log import MetricsLog

log = logging.getLogger(__name__)
ADDED_PARTS = ("hooks",)  # which checkpoints of earlier versions lack


class CheckpointError(UserError):
    """A checkpoint is damaged, or belongs to another run."""


class Stateful(Protocol):
    """An object that can be saved and restored: module, optimizer, scheduler, scaler."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object: ...


class Position(NamedTuple):
    """The position of a run at a checkpoint."""

    step: int = 0  # optimizer steps taken
    records: int = 0  # size in bytes of metrics.jsonl; later records are computed again
    checksum: str | None = None  # of those bytes; None in checkpoints of earlier versions


class Checkpoints:
    """Checkpoints of a run: `last.pt`, `previous.pt` and one `best_<metric>.pt` per storage metric.

    A save writes a temporary file and renames it to `last.pt`, so that a kill at any moment leaves
    a complete file. Files are read with `weights_only=True`, after their checksum is verified.

    Args:
        folder: the folder of the checkpoints.
        records: the records of the run. A checkpoint stores their size and checksum, and is used
            only if the records still begin with the same bytes.
    """

    def __init__(self, folder: Path, records: MetricsLog) -> None:
        self.last, self.previous = folder / "last.pt", folder / "previous.pt"
        self.folder, self.records = folder, records
        self.last_is_good = True
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        """Save all parts after optimizer step `step`; the last checkpoint becomes `previous.pt`."""
        size = self.records.size
        position = Position(step, size, self.records.checksum(size))
        state = {name: part.state_dict() for name, part in parts.items()}
        content = {"parts": state, "position": tuple(position), "random": random_states()}

        def rotate() -> None:
            if self.last_is_good and self.last.exists():
                self.last.replace(self.previous)

        write_atomically(self.last, partial(write_checkpoint, content), before_replace=rotate)
        self.last_is_good = True

    def load(self, parts: Mapping[str, Stateful]) -> Position | None:
        """Restore the newest undamaged checkpoint of this run; None if the run has none.

        `parts` change only after the whole checkpoint is checked.

        Raises:
            CheckpointError: no checkpoint can be used; names the reason for the newest.
        """
        refused: list[str] = []
        for path in filter(Path.exists, (self.last, self.previous)):
            try:
                content = read_checkpoint(path)
                position = position_of(path, content, parts)
                self.check_records(path, position)
            except CheckpointError as error:
                refused.append(str(error))
                continue
            for reason in refused:
                log.warning("%s; falling back to %s", reason, path.name)
            self.last_is_good = not refused
            for name in [name for name in parts if name in content["parts"]]:
                parts[name].load_state_dict(content["parts"][name])
            restore_random_states(content["random"])
            return position
        if refused:
            raise CheckpointError(
                f"{refused[0]}; there is no other checkpoint: restore the damaged file, or start "
                "the run again with force=true"
            )
        return None

    def check_records(self, path: Path, position: Position) -> None:
        """Compare the records with the size and checksum that the checkpoint at `path` stores.

        Raises:
            CheckpointError: the records are shorter, or differ.
        """
        size = self.records.size
        if size < position.records:
            raise CheckpointError(
                f"{self.records.path} ends after {size} of the {position.records} bytes that "
                f"{path} expects"
            )
        if position.checksum not in (None, self.records.checksum(position.records)):
            raise CheckpointError(f"{self.records.path} is not what it was when {path} was written")

    def save_best(self, metric: str, parts: Mapping[str, Stateful], step: int) -> None:
        """Save the weights for inference, without the state of the optimizer."""
        content = {"parts": {n: part.state_dict() for n, part in parts.items()}, "step": step}
        path = self.folder / f"best_{metric.replace('/', '_')}.pt"
        write_atomically(path, partial(write_checkpoint, content))


def position_of(path: Path, content: Mapping[str, Any], parts: Mapping[str, Stateful]) -> Position:
    """The position of the run that wrote a checkpoint with these parts.

    Raises:
        CheckpointError: the checkpoint is of another run, or cannot be resumed from.
    """
    found, position = content.get("parts"), content.get("position")
    if not isinstance(found, dict) or not isinstance(position, tuple):
        raise CheckpointError(f"{path} is no checkpoint that a run can go on from, as last.pt is")
    for name in [name for name in parts if name in found or name not in ADDED_PARTS]:
        reason = state_mismatch(parts[name], found[name]) if name in found else "missing"
        if reason:
            raise CheckpointError(f"checkpoint {path} is of another run: {name}: {reason}")
    return Position(*position)


def write_checkpoint(content: Mapping[str, Any], file: BinaryIO) -> None:
    """Write a checkpoint, with the checksum that `read_checkpoint` verifies."""
    torch.save(content, file)
    append_checksum(file)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        CheckpointError: the file cannot be read, fails its checksum, or is no checkpoint.
    """
    try:
        with path.open("rb") as file:
            if has_checksum(file):
                verify_checksum(file)
            else:
                verify_members(file)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make zipfile, pickle and torch raise any error
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(f"checkpoint {path} is damaged ({reason})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no checkpoint of a run, but a {type(content).__name__}")
    return content


def verify_members(file: BinaryIO) -> None:
    """Verify each member of an archive of an earlier version, which has no checksum of its own."""
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} fails its checksum")


def random_states() -> dict[str, Any]:
    """Every global random state, as tensors and tuples."""
    kind, keys, *rest = cast("tuple[str, np.ndarray, int, int, float]", np.random.get_state())  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        "python": random.getstate(),
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Set every global random state to a saved one."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(states["python"])
