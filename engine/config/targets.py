"""Targets: find the class or function that a `_target_` names.

A target is a dotted name, `package.module.Name`. The package may belong to this project, a library
or the user. Modules of Python's standard library define no components, and importing one may have
side effects; only the names in STANDARD are accepted.
"""

import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any

from core.errors import in_one_line
from engine.config.errors import ConfigurationError, closest

STANDARD = ("types.NoneType", "functools.partial")


def resolve(name: object, key: str = "") -> Callable[..., Any]:
    """The class or function that a target names.

    Args:
        name: the value of `_target_` in the configuration.
        key: the key of its node, for the message.

    Raises:
        ConfigurationError: the name is not a dotted name, its package is not installed or not
            accepted, or the package has no such class or function.
    """
    where = f"{key}._target_".lstrip(".")
    if not isinstance(name, str) or not all(map(str.isidentifier, [*name.split("."), name[:1]])):
        raise ConfigurationError(
            f"{where}={name}: must name a class or function, package.module.Name"
        )
    package, dot, _ = name.partition(".")
    if name not in STANDARD and (not dot or package in sys.stdlib_module_names):
        raise ConfigurationError(f"{where}={name}: is no component; {package} is not imported")
    if find_spec(package) is None:
        raise ConfigurationError(
            f"{where}: there is no {name}; no package {package} is installed or in a "
            "folder of PYTHONPATH"
        )
    found = _locate(name, where)
    if found is None:
        raise ConfigurationError(
            f"{where}: there is no {name}{_suggestion(name) or _hidden_file(name)}"
        )
    if isinstance(found, types.ModuleType) or not callable(found):
        raise ConfigurationError(f"{where}={name}: is no class or function")
    return found


def _locate(name: str, where: str) -> object:
    try:
        return locate(name)
    except ErrorDuringImport as error:
        reason = in_one_line(error.value)
        raise ConfigurationError(f"{where}: cannot import {error.filename}: {reason}") from error


def _hidden_file(name: str) -> str:
    """The file that defines the name, if another package of the same name hides it; else empty."""
    package, *inner = name.split(".")[:-1]
    taken = find_spec(package)
    origins = [str(place) for place in (taken and taken.submodule_search_locations) or ()]
    for place in map(Path, sys.path):
        file = place.joinpath(package, *inner).with_suffix(".py")
        if origins and file.is_file() and str(file.parents[len(inner) - 1]) not in origins:
            used = ", ".join(origins)
            return f" in {used}, which hides {file}; give your package another name"
    return ""


def _suggestion(name: str) -> str:
    """A suggestion of the most similar public name of the module; empty if none is similar."""
    parent, _, last = name.rpartition(".")
    module = locate(parent)
    public = [known for known in dir(module) if known[0] != "_"] if module else []
    similar = closest(last, public)
    return f", did you mean '{parent}.{similar}'?" if similar else ""
