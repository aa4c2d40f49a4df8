"""Freezing: parameters of the backbone that keep their values, chosen by patterns of names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from engine.config.errors import ConfigurationError, suggestion

MOST = 8  # blocks that a message names


def freeze_matching(backbone: nn.Module, patterns: Sequence[str]) -> None:
    """Freeze the parameters of a backbone whose names match a pattern, such as `trunk.layer1.*`.

    Args:
        backbone: the network; frozen parameters require no gradient.
        patterns: globs over the names of its parameters, in which `*` matches dots, too.

    Raises:
        ConfigurationError: a pattern matches nothing, or no parameter is left to train.
    """
    parameters = dict(backbone.named_parameters())
    for pattern in patterns:
        matching = [name for name in parameters if fnmatchcase(name, pattern)]
        if not matching:
            raise ConfigurationError(
                f"trainer.freeze={pattern}: matches no parameter of the backbone"
                f"{_similar(pattern, list(parameters))}"
            )
        for name in matching:
            parameters[name].requires_grad_(False)
    if patterns and not any(parameter.requires_grad for parameter in parameters.values()):
        raise ConfigurationError(
            f"trainer.freeze=[{','.join(patterns)}]: no parameter of the backbone is left to train"
        )


def keep_frozen_batchnorm(model: nn.Module) -> None:
    """Set every BatchNorm whose parameters are all frozen to evaluation mode.

    Its running statistics then stay as they are, and it normalizes with them.
    """
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            parameters = list(layer.parameters())
            if parameters and not any(parameter.requires_grad for parameter in parameters):
                layer.eval()


def _similar(pattern: str, names: Sequence[str]) -> str:
    """What the pattern may mean: a similar name or block, else the blocks of the backbone."""
    parents = [name.rsplit(".", depth)[0] for name in names for depth in range(1, 8)]
    blocks = [f"{parent}.*" for parent in dict.fromkeys(parents)]
    return suggestion(pattern, [*blocks, *names]) or f"; it has {', '.join(_top_blocks(names))}"


def _top_blocks(names: Sequence[str]) -> list[str]:
    """Patterns of the outermost blocks of which there are several."""
    for depth in range(1, 8):
        starts = [".".join(name.split(".")[:depth]) for name in names]
        blocks = list(dict.fromkeys(start if start in names else f"{start}.*" for start in starts))
        if len(blocks) > 2:  # more than a trunk and a head
            break
    return [*blocks[:MOST], *(["..."] if len(blocks) > MOST else [])]
