"""Checks of the command line before Hydra composes it."""

from argparse import Namespace
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import OverrideParseException

from core.errors import UserError
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from tracking.run_files import GROUPS

SEVERAL = "metric"  # the one group of which a run has several choices


def parsed(arguments: Sequence[str]) -> Namespace:
    """Hydra's options, such as `config_dir`, and `overrides`.

    Raises:
        UserError: an option is unknown, or lacks its value.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    return parser.parse_args(list(arguments))


def _refuse(message: str) -> NoReturn:
    raise UserError(f"{message}; first options, then values as key=value; --help lists both")


def check_command_line(arguments: Sequence[str]) -> None:
    """The options exist, and each group is given the name of a file.

    Raises:
        UserError: an option is unknown, or a choice is no name.
    """
    check_choices(parsed(arguments).overrides)


def check_choices(overrides: Sequence[str]) -> None:
    """Every group is given the name of one file, the metrics at least one.

    Raises:
        ConfigurationError: the choice of a group is no name, or names several files where a run
            has one.
    """
    try:
        said = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException:  # Hydra says what it cannot read
        return
    for override in said:
        if (CONF / (override.key_or_group or "?")).is_dir() and not override.is_delete():
            value = override.value()
            for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
                _check_choice(override, choice)


def _check_choice(override: Override, choice: object) -> None:
    group = override.key_or_group
    names = choice if isinstance(choice, list) else [choice]
    if any(isinstance(name, int | float | None) for name in names):
        raise ConfigurationError(f"{override.input_line}: must name a file of conf/{group}/")
    if group == SEVERAL and not names:
        raise ConfigurationError(f"{override.input_line}: choose at least one of conf/{group}/")
    if group != SEVERAL and group in GROUPS and len(names) != 1:
        raise ConfigurationError(f"{override.input_line}: a run has one {group}; choose one")
