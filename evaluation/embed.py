"""Embedding of a dataset: model outputs in evaluation mode, with all states restored after."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from core.distance import to_float32
from core.types import Embeddings, Labels


class Embedded(NamedTuple):
    """Embeddings and labels of a dataset in the order of its loader; embeddings >= float32."""

    embeddings: Embeddings
    labels: Labels


def embed(
    model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> Embedded:
    """Embed every batch of `(images, labels)` with the model in evaluation mode, without gradient.

    The pass does not synchronise with the device: loader workers prefetch, pinned images are
    copied asynchronously, and nothing is copied back to the host. The result stays on `device`.
    The mode of each submodule and all random states are restored afterwards.

    Raises:
        ValueError: the loader is empty.
    """
    embeddings, labels = [], []
    with torch.inference_mode(), evaluation_mode(model), preserve_random_state(device):
        for images, targets in loader:
            embeddings.append(to_float32(model(images.to(device, non_blocking=True))))
            labels.append(targets)
    if not labels:
        raise ValueError("there is nothing to embed: the loader has no batches")
    return Embedded(torch.cat(embeddings), torch.cat(labels).to(device))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Set the model to evaluation mode, and restore the mode of each submodule on exit."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training  # .train() would recurse and may be overridden


@contextmanager
def preserve_random_state(device: torch.device) -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch on exit."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
