"""Embedding a set of images: a measurement that leaves everything as it found it."""

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
    """The embeddings of a set, in the order of its loader, at least float32, and their labels."""

    embeddings: Embeddings
    labels: Labels


def embed(
    model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> Embedded:
    """Embed every batch of `(images, labels)` with the model in evaluation mode, without gradient.

    One pass, in which no batch waits for another: the workers of a loader read ahead, pinned
    images are copied while the device computes, and nothing comes back to the host before the end.
    The result stays on `device`. The mode of each submodule and all random states are put back.

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
    """`model.eval()` for a while; a submodule that was frozen in either mode is so again after."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training  # not .train(), which descends and may be overridden


@contextmanager
def preserve_random_state(device: torch.device) -> Iterator[None]:
    """Whatever is drawn inside, by a model or an image transform, was never drawn."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
