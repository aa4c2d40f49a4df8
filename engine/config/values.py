"""Value check: compares every value of a configuration with the signature that it is passed to.

A node with a `_target_` holds the arguments of a class or function; a group such as conf/trainer
holds those of a class in `engine.config.settings`. Both are checked by their annotations. Nothing
is called or read: an uninitialised object of its class stands for the object that a node builds, so
that its type can be checked, too.
"""

import inspect
import json
import math
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeGuard, get_type_hints

from omegaconf import DictConfig, OmegaConf

from engine.config.annotations import LARGEST, choices, described_in_words, fits, is_representable
from engine.config.errors import ConfigurationError, suggestion
from engine.config.targets import resolve

Content = dict[str, Any]

RESERVED = {  # keys of a node that Hydra reads
    "_target_": str,
    "_partial_": bool,
    "_recursive_": bool,
    "_convert_": Literal["none", "partial", "object", "all"],
    "_args_": list,
}
MISSING = "???"
MAX_LENGTH = 60  # of a value in a message, in characters


class Settings:
    """Base class of settings, whose arguments are keys of a configuration, such as conf/trainer."""


class Unknown:
    """Stands for an object whose class is known only after a call."""


UNKNOWN = Unknown()


def resolved_content(config: DictConfig) -> Content:
    """The configuration with interpolations resolved; `num_classes`, if missing, is 2."""
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    if "num_classes" in copy.keys() and OmegaConf.is_missing(copy, "num_classes"):  # noqa: SIM118
        copy.num_classes = 2
    content = OmegaConf.to_container(copy, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def check_values(content: Content, settings: type[Settings]) -> None:
    """Check every value of a configuration; the keys of the settings are checked first.

    Raises:
        ConfigurationError: a value is not of the type or in the range that a signature states, an
            argument is unknown or missing, or a `_target_` names nothing.
    """
    own = [name for name in inspect.signature(settings).parameters if name in content]
    hints = get_type_hints(settings)
    # trainer and evaluation before components, whose modules take seconds to import
    own.sort(key=lambda name: not _is_settings(hints.get(name)))
    _arguments("", settings, {name: content[name] for name in [*own, *content]})


def check_arguments(key: str, target: Callable[..., Any], given: Content) -> None:
    """Check the values that a command passes to one of its functions or classes.

    Args:
        key: the key of their node, for messages; empty for top-level keys of a command.
        target: the function or class, whose signature states the types and ranges.
        given: the values by argument name.

    Raises:
        ConfigurationError: see `check_values`.
    """
    if not isinstance(given, dict):
        raise ConfigurationError(f"{key}={short_text(given)}: must hold keys, {key}.<key>=<value>")
    _arguments(key, target, given)


def check_complete(content: Content, settings: type[Settings]) -> None:
    """Check that no key of the settings without a default is missing, as some are in earlier runs.

    Raises:
        ConfigurationError: a key is missing.
    """
    for name, parameter in inspect.signature(settings).parameters.items():
        if name not in content and parameter.default is parameter.empty:
            raise ConfigurationError(f"{name}: is missing; a run needs it")
    for key, hint in get_type_hints(settings).items():
        if _is_settings(hint):
            _check_keys(key, hint, content[key])
            for name in inspect.signature(hint).parameters:
                if name not in content[key]:
                    raise ConfigurationError(f"{key}.{name}: is missing; a run needs it")


def _is_settings(hint: object) -> TypeGuard[type[Settings]]:
    return inspect.isclass(hint) and issubclass(hint, Settings)


def _check_keys(key: str, settings: type, node: object) -> None:
    if not isinstance(node, dict):
        keys = ", ".join(inspect.signature(settings).parameters)
        raise ConfigurationError(f"{key}={short_text(node)}: must hold the keys {keys}")


def _stand_in(key: str, node: object) -> object:
    """The value of a node: itself, or an uninitialised object of the class of its target."""
    if isinstance(node, list):
        return [_stand_in(f"{key}[{index}]", item) for index, item in enumerate(node)]
    if not isinstance(node, dict):
        if node == MISSING:
            raise ConfigurationError(f"{key}: is missing; say {key}=...")
        return node
    if "_target_" not in node:
        return {name: _stand_in(f"{key}.{name}", value) for name, value in node.items()}
    return _build_stand_in(key, node)


def _build_stand_in(key: str, node: Content) -> object:
    target = resolve(node["_target_"], key)
    for name in RESERVED.keys() & node.keys():
        _check_value(f"{key}.{name}", node[name], node[name], RESERVED[name])
    if target is types.NoneType:
        return None
    given = {name: value for name, value in node.items() if name not in RESERVED}
    values = _arguments(key, target, given, node)
    if node.get("_partial_"):
        return partial(target)
    if "_args_" not in node:
        _check_required(key, target, values)
    return _uninitialised(target)


def _arguments(
    key: str, target: Callable[..., Any], given: Content, node: Content | None = None
) -> Content:
    """Check every argument; returns their stand-ins."""
    accepted, hints = _signature(target, key)
    values = {}
    for name, value in given.items():
        full = f"{key}.{name}".lstrip(".")
        hint = hints.get(name)
        if name not in accepted and not _takes_any(accepted) and key:
            owner = node["_target_"] if node else key
            raise ConfigurationError(
                f"{full}: {owner} takes no '{name}'{suggestion(name, accepted)}; "
                f"it takes {', '.join(accepted) or 'nothing'}"
            )
        if _is_settings(hint):
            _check_keys(full, hint, value)
            _arguments(full, hint, value)
            continue
        unopened = node is not None and node.get("_recursive_") is False
        values[name] = value if unopened else _stand_in(full, value)
        if name in hints:
            _check_value(full, values[name], value, hint)
    return values


def _signature(
    target: Callable[..., Any], key: str
) -> tuple[Mapping[str, inspect.Parameter], Mapping[str, object]]:
    try:
        accepted = inspect.signature(target).parameters
    except (TypeError, ValueError) as error:  # a class written in C
        raise ConfigurationError(f"{key}._target_: {target} has no signature") from error
    try:
        hints = get_type_hints(
            target.__init__ if inspect.isclass(target) else target, include_extras=True
        )
    except (NameError, TypeError, AttributeError):
        hints = {}
    return accepted, hints


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def _check_value(key: str, value: object, written: object, annotation: object) -> None:
    if _is_unknown(value) or fits(value, annotation):
        return
    raise ConfigurationError(
        f"{key}={short_text(written)}: must be {described_in_words(annotation)}{_limits(written)}"
        f"{suggestion(str(written), choices(annotation))}"
    )


def _limits(value: object) -> str:
    """The limits that hold for every number, if the value exceeds one."""
    if isinstance(value, float) and not math.isfinite(value):
        return ", and finite"
    return "" if is_representable(value) else f", and within {LARGEST - 1}"


def _is_unknown(value: object) -> bool:
    if isinstance(value, list | dict):
        return any(map(_is_unknown, value.values() if isinstance(value, dict) else value))
    return value is UNKNOWN


def _check_required(key: str, target: Callable[..., Any], given: Mapping[str, object]) -> None:
    for name, parameter in inspect.signature(target).parameters.items():
        optional = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if name not in given and parameter.default is parameter.empty and not optional:
            raise ConfigurationError(f"{key}.{name}: is missing; the _target_ needs it")


def _uninitialised(target: Callable[..., Any]) -> object:
    """An uninitialised object of the class that a call returns."""
    made = target if inspect.isclass(target) else _signature(target, "")[1].get("return")
    try:
        return object.__new__(made)  # type: ignore[arg-type]
    except TypeError:
        return UNKNOWN


def short_text(value: object) -> str:
    """A value as the command line writes it, shortened if it is long."""
    if isinstance(value, dict) and "_target_" in value:
        return f"{{_target_: {value['_target_']}, ...}}"
    plain = isinstance(value, str) and value.isprintable() and value.strip()
    text = str(value) if plain else json.dumps(value, default=str)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
