"""Everything a run needs to go on as if it had never stopped, on disk, never half written."""

import logging
import random
import zipfile
from collections.abc import Mapping
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


class CheckpointError(UserError):
    """A file is no whole checkpoint, or one of another run."""


class Stateful(Protocol):
    """Whatever can be saved and restored: modules, optimizers, schedulers, samplers, scalers."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object: ...


class Position(NamedTuple):
    """How far a run has come."""

    step: int = 0  # optimizer steps taken
    records: int = 0  # size in bytes of metrics.jsonl, everything after it is recomputed
    checksum: str | None = None  # of these bytes; None in checkpoints of earlier versions


class Checkpoints:
    """`last.pt`, `previous.pt` and one `best_<metric>.pt` per storage metric in one folder.

    A save writes beside `last.pt` and renames, so that a kill at any moment leaves a whole file.
    Files are read back with `weights_only=True`, after their checksum.

    Args:
        folder: of the checkpoints.
        records: what the run has measured; a checkpoint remembers how much of it, and is used
            only where this much is still there, unchanged.
    """

    def __init__(self, folder: Path, records: MetricsLog) -> None:
        self.last, self.previous = folder / "last.pt", folder / "previous.pt"
        self.folder, self.records = folder, records
        self.last_is_good = True
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, parts: Mapping[str, Stateful], step: int) -> None:
        size = self.records.size
        position = Position(step, size, self.records.checksum(size))
        state = {name: part.state_dict() for name, part in parts.items()}
        content = {"parts": state, "position": tuple(position), "random": random_states()}

        def rotate() -> None:
            if self.last_is_good and self.last.exists():
                self.last.replace(self.previous)

        write_atomically(self.last, lambda file: write(content, file), before_replace=rotate)
        self.last_is_good = True

    def load(self, parts: Mapping[str, Stateful]) -> Position | None:
        """Restore the newest checkpoint that is whole and of this run; None if there is none.

        Nothing in `parts` changes before all of a checkpoint has been checked.

        Raises:
            CheckpointError: there are checkpoints, and none can be used; says why the newest.
        """
        refused: list[str] = []
        for path in filter(Path.exists, (self.last, self.previous)):
            try:
                content = whole(path)
                position = position_of(path, content, parts)
                self.check_records(path, position)
            except CheckpointError as error:
                refused.append(str(error))
                continue
            for reason in refused:
                log.warning("%s; falling back to %s", reason, path.name)
            self.last_is_good = not refused
            for name, part in parts.items():
                part.load_state_dict(content["parts"][name])
            restore_random_states(content["random"])
            return position
        if refused:
            raise CheckpointError(
                f"{refused[0]}; no other checkpoint takes its place: put back what is damaged, "
                "or start the run again with force=true"
            )
        return None

    def check_records(self, path: Path, position: Position) -> None:
        """Compare the records with what the checkpoint at `path` remembers of them.

        Raises:
            CheckpointError: they are shorter, or others.
        """
        there = self.records.size
        if there < position.records:
            raise CheckpointError(
                f"{self.records.path} ends after {there} of the {position.records} bytes that "
                f"{path} remembers"
            )
        if position.checksum not in (None, self.records.checksum(position.records)):
            raise CheckpointError(f"{self.records.path} is not what it was when {path} was written")

    def save_best(self, metric: str, parts: Mapping[str, Stateful], step: int) -> None:
        """Weights only: what an embedder needs to be used, not to be trained further."""
        content = {"parts": {n: part.state_dict() for n, part in parts.items()}, "step": step}
        path = self.folder / f"best_{metric.replace('/', '_')}.pt"
        write_atomically(path, lambda file: write(content, file))


def position_of(path: Path, content: Mapping[str, Any], parts: Mapping[str, Stateful]) -> Position:
    """How far a run had come that wrote this content, of the same parts.

    Raises:
        CheckpointError: it is of another run, or no checkpoint to go on from.
    """
    found, position = content.get("parts"), content.get("position")
    if not isinstance(found, dict) or not isinstance(position, tuple):
        raise CheckpointError(f"{path} is no checkpoint that a run can go on from, as last.pt is")
    for name, part in parts.items():
        reason = state_mismatch(part, found[name]) if name in found else "missing"
        if reason:
            raise CheckpointError(f"checkpoint {path} is of another run: {name}: {reason}")
    return Position(*position)


def write(content: Mapping[str, Any], file: BinaryIO) -> None:
    """A checkpoint, with the checksum that `whole` compares."""
    torch.save(content, file)
    append_checksum(file)


def whole(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        CheckpointError: it cannot be read, fails its checksum, or holds something else.
    """
    try:
        with path.open("rb") as file:
            if has_checksum(file):
                verify_checksum(file)
            else:
                check_members(file)
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # over damaged bytes zipfile, pickle and torch raise whatever occurs
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(f"checkpoint {path} is damaged ({reason})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no checkpoint of a run, but a {type(content).__name__}")
    return content


def check_members(file: BinaryIO) -> None:
    """Compare each part of an archive of an earlier version, which has no checksum as a whole."""
    with zipfile.ZipFile(file) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"{damaged} fails its checksum")


def random_states() -> dict[str, Any]:
    """Every global random state, as plain tensors and tuples."""
    kind, keys, *rest = cast("tuple[str, np.ndarray, int, int, float]", np.random.get_state())  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        "python": random.getstate(),
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(states["python"])
