"""Parameter groups of the optimizer: each trainable parameter belongs to exactly one group."""

from collections import Counter

from torch import nn

from core.parameter_groups import Groups, collect_parameter_groups


def parameter_groups(
    model: nn.Module, criterion: nn.Module, head_lr: float | None, method: nn.Module | None = None
) -> Groups:
    """Optimizer groups of backbone, head, criterion and training method.

    A group without `lr` has the default rate. Criterion and method list their parameters and their
    learning rates in `parameter_groups()`.

    Raises:
        ValueError: a trainable parameter is in no group or in several.
    """
    head_module = getattr(model, "head", None)
    head = list(head_module.parameters()) if isinstance(head_module, nn.Module) else []
    in_head = {id(parameter) for parameter in head}
    trunk = [parameter for parameter in model.parameters() if id(parameter) not in in_head]
    groups: Groups = [{"name": "backbone", "params": trunk}, {"name": "head", "params": head}]
    if head_lr is not None:
        groups[1]["lr"] = head_lr
    groups += [{"name": "criterion", **group} for group in collect_parameter_groups(criterion)]
    groups += [{"name": "method", **group} for group in collect_parameter_groups(method)]
    trained = [{**group, "params": _trainable(group["params"])} for group in groups]
    trained = [group for group in trained if group["params"]]
    modules = {"model": model, "criterion": criterion, "method": method or nn.Module()}
    _check_ownership(nn.ModuleDict(modules), trained)
    return trained


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
