"""Allow-list of targets: which classes and functions the configuration of a run folder may build.

A run folder can come from anybody, and a `_target_` can name anything that Python can import.
Therefore the `config.yaml` of a run builds only the targets that conf/ names, other classes of the
same modules, and the optimizers, schedulers and initializers of torch. The option
`trust=[mypackage]` of the command line allows a package of the user.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module

import torch

from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF

ROOT = CONF.parent
TARGET = re.compile(r"\b_target_: *([\w.]+)")
INITIALIZERS = "torch.nn.init"  # its functions that end with _ fill a tensor
TORCH_BASES = {
    "torch.optim": torch.optim.Optimizer,
    "torch.optim.lr_scheduler": torch.optim.lr_scheduler.LRScheduler,
}


def check_targets(config: object, trusted: Sequence[str] = ()) -> None:
    """Check that every target of a configuration is allowed, before any of them is imported.

    Args:
        config: plain containers, interpolations unresolved.
        trusted: packages that the command line names.

    Raises:
        ConfigurationError: a `_target_` is not allowed, or a value is an interpolation, which
            could read the environment; a recorded configuration contains none.
    """
    for key, value in _values(config):
        if key.rpartition(".")[2] == "_target_":
            if not is_allowed(value, trusted):
                package = str(value).partition(".")[0]
                raise ConfigurationError(
                    f"{key}: {value} is no component of this project, and a recorded "
                    f"configuration may build no other; trust=[{package}] accepts that package"
                )
        elif isinstance(value, str) and "${" in value:
            raise ConfigurationError(
                f"{key}={value}: a recorded configuration holds values, no interpolation"
            )


def is_allowed(target: object, trusted: Sequence[str] = ()) -> bool:
    """Whether the configuration of a run folder may build the object of that dotted name."""
    if not isinstance(target, str):
        return False
    if any(f"{target}.".startswith(f"{package}.") for package in trusted):
        return True
    module, _, name = target.rpartition(".")
    if module in TORCH_BASES:
        found = getattr(import_module(module), name, None)
        return inspect.isclass(found) and issubclass(found, TORCH_BASES[module])
    if module == INITIALIZERS and not name.startswith("_"):
        return name.endswith("_") and inspect.isfunction(getattr(torch.nn.init, name, None))
    return target in targets_in_conf() or (
        module in component_modules() and _is_class(module, name)
    )


@cache
def targets_in_conf() -> frozenset[str]:
    """Every `_target_` in conf/, without the launchers and sweepers of Hydra."""
    files = (file for file in CONF.rglob("*.yaml") if (CONF / "hydra") not in file.parents)
    return frozenset(name for file in files for name in TARGET.findall(file.read_text()))


@cache
def component_modules() -> frozenset[str]:
    """The modules of this project in which a `_target_` of conf/ is defined."""
    found = {name.rpartition(".")[0] for name in targets_in_conf()}
    return frozenset(name for name in found if (ROOT / f"{name.replace('.', '/')}.py").is_file())


def _is_class(module: str, name: str) -> bool:
    """Whether a module of this project defines a public class of that name."""
    found = getattr(import_module(module), name, None)
    return inspect.isclass(found) and found.__module__ == module and not name.startswith("_")


def _values(node: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every (dotted key, value); a `_target_` counts as a value, whatever it contains."""
    if isinstance(node, Mapping):
        for name, child in node.items():
            path = f"{key}.{name}".lstrip(".")
            yield from [(path, child)] if name == "_target_" else _values(child, path)
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _values(child, f"{key}[{index}]")
    else:
        yield key, node
