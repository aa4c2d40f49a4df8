"""The allow-list of `_target_`s for a configuration from elsewhere.

A run folder can come from anybody, and a `_target_` can name anything that Python can import. So
the `config.yaml` of a run builds only what conf/ names, other classes of the same modules, and the
optimizers and schedulers of torch. A user's own package is accepted where the command line names
it, `trust=[mypackage]`.
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
NAMED = re.compile(r"\b_target_: *([\w.]+)")
OF_TORCH = {
    "torch.optim": torch.optim.Optimizer,
    "torch.optim.lr_scheduler": torch.optim.lr_scheduler.LRScheduler,
}


def check_targets(config: object, trusted: Sequence[str] = ()) -> None:
    """Refuse a configuration that names other code, before any of it is imported.

    Args:
        config: plain containers, interpolations unresolved.
        trusted: packages that the command line names.

    Raises:
        ConfigurationError: a `_target_` is none of this project, or a value is an interpolation,
            which a recorded configuration has none of and which could read the environment.
    """
    for key, value in _values(config):
        if key.rpartition(".")[2] == "_target_":
            if not accepted(value, trusted):
                package = str(value).partition(".")[0]
                raise ConfigurationError(
                    f"{key}: {value} is no component of this project, and a configuration from "
                    f"elsewhere builds no other; trust=[{package}] accepts that package"
                )
        elif isinstance(value, str) and "${" in value:
            raise ConfigurationError(
                f"{key}={value}: a recorded configuration holds values, no interpolation"
            )


def accepted(target: object, trusted: Sequence[str] = ()) -> bool:
    """Whether a configuration from elsewhere may build the object of that dotted name."""
    if not isinstance(target, str):
        return False
    if any(f"{target}.".startswith(f"{package}.") for package in trusted):
        return True
    module, _, name = target.rpartition(".")
    if module in OF_TORCH:
        found = getattr(import_module(module), name, None)
        return inspect.isclass(found) and issubclass(found, OF_TORCH[module])
    return target in targets_in_conf() or (
        module in component_modules() and _is_class(module, name)
    )


@cache
def targets_in_conf() -> frozenset[str]:
    """Every `_target_` in conf/, but for the launchers and sweepers of Hydra."""
    files = (file for file in CONF.rglob("*.yaml") if (CONF / "hydra") not in file.parents)
    return frozenset(name for file in files for name in NAMED.findall(file.read_text()))


@cache
def component_modules() -> frozenset[str]:
    """The modules of this project that conf/ names something of."""
    found = {name.rpartition(".")[0] for name in targets_in_conf()}
    return frozenset(name for name in found if (ROOT / f"{name.replace('.', '/')}.py").is_file())


def _is_class(module: str, name: str) -> bool:
    """Whether a module of this project defines a class of that name for others to use."""
    found = getattr(import_module(module), name, None)
    return inspect.isclass(found) and found.__module__ == module and not name.startswith("_")


def _values(node: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value under its dotted key; a `_target_` is one, whatever it holds."""
    if isinstance(node, Mapping):
        for name, child in node.items():
            path = f"{key}.{name}".lstrip(".")
            yield from [(path, child)] if name == "_target_" else _values(child, path)
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _values(child, f"{key}[{index}]")
    else:
        yield key, node
