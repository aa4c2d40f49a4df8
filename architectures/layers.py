"""Layers of a trunk, from the image to the features, for learning rates that depend on depth."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, cast

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

Layer = list[nn.Parameter]
NO_LAYER = "?"  # no name of a parameter, so that timm groups it with those of no layer
NORMALIZATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def trunk_layers(trunk: nn.Module) -> list[Layer]:
    """The parameters of each layer of a trunk, the layer next to the image first.

    A network with a `group_matcher`, as all of timm have, says itself what a layer is: a block of a
    transformer, a residual block. In any other, the layers are the blocks at its top, in their
    order; a stage, which is an `nn.Sequential` of blocks, counts as its blocks, and a normalization
    belongs to the layer before it. Parameters of the network itself, such as a class token, belong
    to the first layer. Parameters that a network says are in no layer, such as a normalization in
    the head of timm's ConvNeXt, are left out.
    """
    network = _innermost(trunk)
    if hasattr(network, "group_matcher"):
        return _declared_layers(network)
    layers: list[Layer] = []
    for block in _blocks(network):
        parameters = list(block.parameters())
        if layers and isinstance(block, NORMALIZATIONS):
            layers[-1] += parameters
        elif parameters:
            layers.append(parameters)
    own = list(network.parameters(recurse=False))
    return [own + layers[0], *layers[1:]] if layers else [own]


def _declared_layers(network: Any) -> list[Layer]:  # noqa: ANN401  # with a group_matcher
    """The layers that a network declares in the form of timm."""
    # imported here because it takes seconds, and most trunks are no network of timm
    from timm.models import group_parameters

    parameters = dict(network.named_parameters())
    named = SimpleNamespace(named_parameters=lambda: [(n, n) for n in (*parameters, NO_LAYER)])
    groups = group_parameters(cast("nn.Module", named), network.group_matcher(coarse=False))
    layers = [group for group in groups.values() if NO_LAYER not in group]
    return [[parameters[name] for name in layer] for layer in layers]


def _innermost(trunk: nn.Module) -> nn.Module:
    """The network inside of modules that only wrap it and have no parameters of their own."""
    parts = _with_parameters(trunk.children())
    own = list(trunk.parameters(recurse=False))
    if hasattr(trunk, "group_matcher") or own or len(parts) != 1:
        return trunk
    return _innermost(parts[0])


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The modules at the top of a network; the blocks of a stage in place of the stage."""
    for part in network.children():
        inner = _with_parameters(part.children())
        is_stage = isinstance(part, nn.Sequential) and all(
            list(block.children()) for block in inner
        )
        yield from inner if is_stage else [part]


def _with_parameters(modules: Iterable[nn.Module]) -> list[nn.Module]:
    return [module for module in modules if list(module.parameters())]
