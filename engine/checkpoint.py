"""Everything a run needs to go on as if it had never stopped, on disk, never half written."""

import logging
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch

from core.errors import UserError
from core.files import write_atomically

log = logging.getLogger(__name__)


class CheckpointError(UserError):
    """A file is no whole checkpoint."""


class Stateful(Protocol):
    """Whatever can be saved and restored: modules, optimizers, schedulers, samplers, scalers."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object: ...


class Position(NamedTuple):
    """How far a run has come."""

    step: int = 0  # optimizer steps taken
    records: int = 0  # size in bytes of metrics.jsonl, everything after it is recomputed


class Checkpoints:
    """`last.pt`, `previous.pt` and one `best_<metric>.pt` per storage metric in one folder.

    A save writes beside `last.pt` and renames, so that a kill at any moment leaves a whole file.
    Files are read back with `weights_only=True` and their checksums verified.
    """

    def __init__(self, folder: Path) -> None:
        self.last, self.previous = folder / "last.pt", folder / "previous.pt"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, parts: Mapping[str, Stateful], position: Position) -> None:
        state = {name: part.state_dict() for name, part in parts.items()}
        content = {"parts": state, "position": tuple(position), "random": random_states()}

        def rotate() -> None:
            if self.last.exists():
                self.last.replace(self.previous)

        write_atomically(self.last, lambda file: torch.save(content, file), before_replace=rotate)

    def load(self, parts: Mapping[str, Stateful]) -> Position | None:
        """Restore the newest whole checkpoint into `parts`; None if there is none."""
        for path in (self.last, self.previous):
            content = read(path)
            if content is not None:
                for name, part in parts.items():
                    part.load_state_dict(content["parts"][name])
                restore_random_states(content["random"])
                return Position(*content["position"])
        return None

    def save_best(self, metric: str, parts: Mapping[str, Stateful], step: int) -> None:
        """Weights only: what an embedder needs to be used, not to be trained further."""
        content = {"parts": {n: part.state_dict() for n, part in parts.items()}, "step": step}
        path = self.folder / f"best_{metric.replace('/', '_')}.pt"
        write_atomically(path, lambda file: torch.save(content, file))


def read(path: Path) -> dict[str, Any] | None:
    """The checkpoint at `path`, or None, with a warning, if it is missing or damaged."""
    if not path.exists():
        return None
    try:
        return whole(path)
    except CheckpointError as error:
        log.warning("%s; falling back to the one before it", error)
        return None


def whole(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        CheckpointError: it cannot be read, or a part of it fails its checksum.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is None:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            return content
        reason = f"{damaged} fails its checksum"
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error)
    raise CheckpointError(f"checkpoint {path} is damaged ({reason})")


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
