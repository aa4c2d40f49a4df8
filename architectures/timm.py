"""Networks of timm by name: Wightman, https://github.com/huggingface/pytorch-image-models."""

import difflib
from functools import partial
from pathlib import Path

import timm
from timm.data import resolve_model_data_config
from torch import nn

from architectures.embedder import BatchNorm, Embedder, Pooling
from architectures.input_normalization import InputNormalization
from architectures.packaged_weights import load_in_order, packaged_weights
from architectures.pretrained import unavailable, weights_cache
from core.ranges import Size

TIMM_POOLING: dict[Pooling | None, str | None] = {None: None, "avg": "avg", "avg+max": "avgmax"}


def timm_model(
    model_name: str,
    embedding_dim: Size = 128,
    pooling: Pooling | None = None,
    normalize: bool = True,
    batchnorm: BatchNorm = "frozen",
    pretrained: bool = True,
) -> Embedder:
    """timm model: a network of timm with an embedding head in place of its classifier.

    Args:
        model_name: as in `timm.list_models()`, with or without the tag of its weights.
        embedding_dim: see `Embedder`; likewise `normalize` and `batchnorm`.
        pooling: None is the default of the network, for vision transformers mostly the class token;
            `avg+max` of timm is half the sum.
        pretrained: whether to load the default weights of that name, see `create`.

    Raises:
        ValueError: timm has no such name or pooling, or no weights for it.
        WeightsUnavailableError: the weights are not in a cache and cannot be downloaded.
    """
    if not timm.is_model(model_name):
        similar = difflib.get_close_matches(model_name, timm.list_models(), n=3)
        raise ValueError(f"timm has no model {model_name}; similar: {', '.join(similar) or 'none'}")
    if pooling not in TIMM_POOLING:
        raise ValueError(f"pooling must be null, avg or avg+max, got {pooling}")
    network = create(model_name, pretrained, TIMM_POOLING[pooling])
    config = resolve_model_data_config(network)  # type: ignore[no-untyped-call]
    return Embedder(
        nn.Sequential(network, nn.Unflatten(1, (-1, 1, 1))),  # already pooled to a 1 x 1 map
        num_features=int(network.head_hidden_size),  # type: ignore[arg-type]
        normalization=InputNormalization(
            mean=tuple(255 * value for value in config["mean"]),
            std=tuple(255 * value for value in config["std"]),
        ),
        embedding_dim=embedding_dim,
        pooling="avg",
        normalize=normalize,
        batchnorm=batchnorm,
    )


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
