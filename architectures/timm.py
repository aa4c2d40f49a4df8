"""Networks of timm by name: Wightman, https://github.com/huggingface/pytorch-image-models."""

import difflib
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import timm
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from architectures.embedder import BatchNorm, Embedder
from architectures.head import Head
from architectures.input_normalization import InputNormalization
from architectures.packaged_weights import load_in_order, packaged_weights
from architectures.pretrained import unavailable, weights_cache
from core.ranges import Size

TimmPooling = Literal["avg", "max", "avg+max", "gem", "token"]
TIMM_NAMES = {"avg+max": "avgmax"}  # timm's name of a pooling, where it differs


def timm_model(
    model_name: str,
    embedding_dim: Size | None = 128,
    pooling: TimmPooling | None = None,
    normalize: bool = True,
    batchnorm: BatchNorm = "frozen",
    pretrained: bool = True,
    head: Head = "linear",
) -> Embedder:
    """timm model: a network of timm with an embedding head in place of its classifier.

    Args:
        model_name: as in `timm.list_models()`, with or without the tag of its weights.
        embedding_dim: see `Embedder`; likewise `normalize`, `batchnorm` and `head`.
        pooling: None is the default of the network, for vision transformers mostly the class token,
            which `token` names; `avg+max` of timm is half the sum; `gem` pools the last feature
            maps of a convolutional network.
        pretrained: whether to load the default weights of that name, see `create`.

    Raises:
        ValueError: timm has no such name or pooling, or no weights for it.
        WeightsUnavailableError: the weights are not in a cache and cannot be downloaded.
    """
    if not timm.is_model(model_name):
        similar = difflib.get_close_matches(model_name, timm.list_models(), n=3)
        raise ValueError(f"timm has no model {model_name}; similar: {', '.join(similar) or 'none'}")
    if pooling is not None and pooling not in get_args(TimmPooling):
        choices = ", ".join(get_args(TimmPooling))
        raise ValueError(f"pooling must be null, {choices}, got {pooling}")
    maps = pooling == "gem"
    own = None if maps or pooling is None else TIMM_NAMES.get(pooling, pooling)
    network = create(model_name, pretrained, own)
    config = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    return Embedder(
        FeatureMaps(network) if maps else nn.Sequential(network, nn.Unflatten(1, (-1, 1, 1))),
        num_features=int(network.num_features if maps else network.head_hidden_size),  # type: ignore[arg-type]
        normalization=InputNormalization(
            mean=tuple(255 * value for value in config["mean"]),
            std=tuple(255 * value for value in config["std"]),
        ),
        embedding_dim=embedding_dim,
        pooling="gem" if maps else "avg",  # the network has pooled to a 1 x 1 map
        normalize=normalize,
        batchnorm=batchnorm,
        head=head,
    )


class FeatureMaps(nn.Module):
    """Last feature maps of a timm network, (N, C, h, w)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"  # as of Swin

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network.forward_features(images)  # type: ignore[operator]
        if maps.ndim != 4:
            raise ValueError("pooling=gem needs feature maps, and this network has tokens")
        return maps.permute(0, 3, 1, 2) if self.channels_last else maps


def create(model_name: str, pretrained: bool, pooling: str | None) -> nn.Module:
    """Network from images to pooled features.

    The weights are those of our cache, else of an installed package, else of timm's cache, else
    downloaded. The package comes before the download: the same command gives the same weights with
    and without a network, and without one the hub's client tries for a minute.
    """
    build = partial(timm.create_model, model_name, num_classes=0, global_pool=pooling)
    if not pretrained:
        return build(pretrained=False)
    url = address(model_name)
    file = weights_cache() / f"{model_name}{Path(url).suffix}"
    if not file.exists() and (packaged := packaged_weights(model_name)):
        network = build(pretrained=False)
        load_in_order(network, packaged)
        return network
    if file.exists():
        build = partial(build, pretrained_cfg_overlay={"file": str(file), "custom_load": False})
    try:
        return build(pretrained=True)
    except Exception as error:  # each hub client has its own exceptions
        raise unavailable(url, file, error) from error


def address(model_name: str) -> str:
    """Address of the weights of a network, to download them by hand."""
    config = timm.get_pretrained_cfg(model_name)
    if config is None or not config.has_weights:
        raise ValueError(f"timm has no pretrained weights for {model_name}")
    if config.hf_hub_id:
        return f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
    return str(config.url)
