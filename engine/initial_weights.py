"""Initial weights: training that begins with the backbone of another run, `init_from`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from engine.checkpoint import CheckpointError
from engine.config.errors import ConfigurationError
from engine.config.init_from import existing_checkpoint
from engine.state_mismatch import weights_mismatch
from engine.trained_run import load_weights
from tracking.data_files import stamp
from tracking.run_folder import RunFolder

HEAD = "head."  # prefix of the parameters of the head in the names of a backbone


class InitialWeights(NamedTuple):
    """Weights of a backbone, their checksum, the checkpoint and its optimizer step."""

    model: Mapping[str, Any]
    sha256: str
    checkpoint: Path
    step: int


def read_initial_weights(init_from: str) -> InitialWeights:
    """Read the weights of the backbone that a run evaluated.

    Raises:
        ConfigurationError: there is no such run or checkpoint.
        CheckpointError: the checkpoint is damaged, or none of a run.
    """
    checkpoint = existing_checkpoint(init_from)
    try:
        weights = load_weights(checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f"init_from={init_from}: {error}") from error
    return InitialWeights(weights.model, weights_sha256(weights.model), checkpoint, weights.step)


def check_initial_weights(config: DictConfig, backbone: nn.Module, found: InitialWeights) -> None:
    """Compare names and shapes of the weights with those of the backbone of a run.

    Raises:
        ConfigurationError: one differs; with `init_head=false`, one that is not of the head.
    """
    expected = _taken(backbone.state_dict(), config.init_head)
    reason = weights_mismatch(expected, _taken(found.model, config.init_head))
    if reason is None:
        return
    hint = "; init_head=false takes all weights but those of the head"
    raise ConfigurationError(
        f"init_from={config.init_from}: its weights do not fit {config.backbone._target_} as "
        f"configured: {reason}{hint if reason.startswith(HEAD) else ''}"
    )


def load_initial_weights(
    config: DictConfig, folder: RunFolder, backbone: nn.Module, *, first: bool
) -> None:
    """Load the weights that a run begins with into its backbone, and record where they are from.

    Without `init_from`, and for a run that goes on from its own checkpoint, nothing changes.

    Args:
        first: whether this is the first process, which writes `init_from.json`.

    Raises:
        ConfigurationError: the weights are not there, or do not fit.
    """
    if not config.get("init_from") or folder.has_checkpoint:
        return
    found = read_initial_weights(config.init_from)
    check_initial_weights(config, backbone, found)
    backbone.load_state_dict({**backbone.state_dict(), **_taken(found.model, config.init_head)})
    if first:
        record = {
            "checkpoint": str(found.checkpoint),
            "step": found.step,
            "sha256": found.sha256,
            "stamp": stamp(found.checkpoint),
            "head": config.init_head,
        }
        folder.write_json(folder.init_from, record)


def weights_sha256(weights: Mapping[str, Any]) -> str:
    """SHA-256 of names, types, shapes and values of weights, in hexadecimal digits.

    It depends neither on the order of the weights nor on the file that holds them.
    """
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:  # an extra state
            digest.update(f"{name} {value}\n".encode())
    return digest.hexdigest()


def _taken(weights: Mapping[str, Any], head: bool) -> dict[str, Any]:
    return {name: w for name, w in weights.items() if head or not name.startswith(HEAD)}
