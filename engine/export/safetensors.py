"""safetensors files: weights without code, beside the configuration that builds the network."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from omegaconf import DictConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from core.files import DamagedFileError
from engine.load import TrainedEmbedder
from engine.trained_run import (
    NEEDED_GROUPS,
    NoRunError,
    TrainedRun,
    Weights,
    evaluation_config,
    load_config,
    load_model,
)

FILE = "model.safetensors"


def save_safetensors(model: nn.Module, file: BinaryIO) -> None:
    """Save parameters and buffers of a network, by the names of its state dict."""
    weights = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    file.write(save(weights, metadata={"format": "pt"}))


def load_safetensors(
    folder: str | Path, device: str = "auto", trust: Sequence[str] = ()
) -> TrainedEmbedder:
    """Load the embedder of a folder that `python -m scripts.export format=safetensors` wrote.

        embedder = load_safetensors("embedder")
        embeddings = embedder.embed(["query.jpg", "gallery.png"])

    Nothing in the folder is executed. Its `config.yaml` builds objects of this project only.

    Args:
        folder: holds `model.safetensors` and `config.yaml`.
        device: see `engine.load.load`.
        trust: see `engine.load.load`.

    Raises:
        NoRunError: a file is missing.
        DamagedFileError: a file is damaged.
        CheckpointError: the weights are of another network.
    """
    folder = Path(folder).expanduser().resolve()
    for name in ("config.yaml", FILE):
        if not (folder / name).is_file():
            raise NoRunError(f"{folder} has no {name}; format=safetensors exports both files")
    config = evaluation_config(load_config(folder, trust, NEEDED_GROUPS), [])
    config.trainer.accelerator = device
    model = load_weights(config, folder / FILE)
    return TrainedEmbedder(TrainedRun(folder, folder / FILE), config, model)


def load_weights(config: DictConfig, path: Path) -> nn.Module:
    """Build the network of a configuration with the weights of a safetensors file."""
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}); export the run again") from error
    return load_model(config, Weights(weights, step=0, checkpoint=path)).embedder
