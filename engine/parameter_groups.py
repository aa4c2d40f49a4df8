"""Parameter groups of the optimizer: each trainable parameter belongs to exactly one group."""

from collections import Counter
from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from architectures.layers import trunk_layers
from core.parameter_groups import Groups, collect_parameter_groups


def parameter_groups(
    model: nn.Module,
    criterion: nn.Module,
    head_lr: float | None,
    method: nn.Module | None = None,
    layer_lr_decay: float | None = None,
) -> Groups:
    """Optimizer groups of backbone, head, criterion and training method.

    A group without `lr` has the default rate. Criterion and method list their parameters and their
    learning rates in `parameter_groups()`.

    Args:
        layer_lr_decay: see `decayed_groups`; None gives all layers of the backbone one rate.

    Raises:
        ValueError: a trainable parameter is in no group or in several, or there is none.
    """
    head_module = getattr(model, "head", None)
    head = list(head_module.parameters()) if isinstance(head_module, nn.Module) else []
    in_head = {id(parameter) for parameter in head}
    backbone = [parameter for parameter in model.parameters() if id(parameter) not in in_head]
    groups: Groups = [{"name": "backbone", "params": backbone}]
    if layer_lr_decay is not None:
        groups = decayed_groups(model, backbone, layer_lr_decay)
    own_rate = {} if head_lr is None else {"lr": head_lr}
    groups += [{"name": "head", "params": head, **own_rate}]
    groups += [{"name": "criterion", **group} for group in collect_parameter_groups(criterion)]
    groups += [{"name": "method", **group} for group in collect_parameter_groups(method)]
    trained = [{**group, "params": _trainable(group["params"])} for group in groups]
    trained = [group for group in trained if group["params"]]
    modules = {"model": model, "criterion": criterion, "method": method or nn.Module()}
    _check_ownership(nn.ModuleDict(modules), trained)
    if not trained:
        raise ValueError(
            "nothing to train: backbone, loss and method have no trainable parameters; a loss with "
            "prototypes has some, such as loss=softmax"
        )
    return trained


def decayed_groups(model: nn.Module, backbone: Sequence[nn.Parameter], decay: float) -> Groups:
    """One group for each of the L layers of a trunk, with the `lr_scale` of its learning rate.

        lr_scale of layer l = decay^(L - l),   l = 0 next to the image, ..., L - 1

    What follows the trunk has the scale 1, as layer L. Clark et al., ELECTRA, ICLR 2020,
    https://arxiv.org/abs/2003.10555; for image transformers Bao et al., BEiT, ICLR 2022,
    https://arxiv.org/abs/2106.08254.

    Args:
        model: the network; its layers are those of `architectures.layers.trunk_layers`.
        backbone: its parameters without those of the head.
        decay: in (0, 1]; 1 decays nothing.
    """
    known = {id(parameter) for parameter in backbone}
    found = [[p for p in layer if id(p) in known] for layer in trunk_layers(_trunk(model))]
    layers = [layer for layer in found if layer]
    in_layers = {id(parameter) for layer in layers for parameter in layer}
    layers.append([parameter for parameter in backbone if id(parameter) not in in_layers])
    last = len(layers) - 1
    return [
        {"name": f"backbone.layer{depth}", "params": layer, "lr_scale": decay ** (last - depth)}
        for depth, layer in enumerate(layers)
    ]


def apply_lr_scale(optimizer: Optimizer) -> None:
    """Multiply the learning rate of every group by its `lr_scale`, before a schedule begins."""
    for group in optimizer.param_groups:
        group["lr"] *= group.get("lr_scale", 1)


def _trunk(model: nn.Module) -> nn.Module:
    """The trunk of an embedder, which may be inside of the network of a method; else the model."""
    trunks = [getattr(module, "trunk", None) for module in model.modules()]
    return next((trunk for trunk in trunks if isinstance(trunk, nn.Module)), model)


def _trainable(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]


def _check_ownership(modules: nn.Module, groups: Groups) -> None:
    owners = Counter(id(parameter) for group in groups for parameter in group["params"])
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad and owners[id(parameter)] != 1:
            raise ValueError(
                f"{name} is in {owners[id(parameter)]} optimizer groups, it must be in one; "
                "a criterion lists its parameters in parameter_groups()"
            )
