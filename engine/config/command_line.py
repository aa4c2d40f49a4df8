"""Check of a command line before Hydra composes the configuration, without importing torch."""

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

MULTIPLE_CHOICE = (
    "metric",
    "tracker",
)  # groups of which a run may have several choices, as of hooks
HOOK_HINT = "; +hooks.<name>={_target_: ...} adds a hook without a file"


def parse_options(arguments: Sequence[str]) -> Namespace:
    """Parse Hydra's options, such as `config_dir`, and the `overrides`.

    Raises:
        UserError: an option is unknown, or its value is missing.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    return parser.parse_args(list(arguments))


def _refuse(message: str) -> NoReturn:
    raise UserError(f"{message}; options come before key=value; --help lists both")


def check_command_line(arguments: Sequence[str]) -> Namespace:
    """Parse a command line and check its options and the choices of its groups.

    Raises:
        UserError: an option is unknown, or a choice is not the name of a file.
    """
    options = parse_options(arguments)
    check_choices(options.overrides)
    return options


def check_choices(overrides: Sequence[str]) -> None:
    """Check that each group has one choice, except metric, tracker and hooks; metric at least one.

    Raises:
        ConfigurationError: a choice is not the name of a file, or a group has several choices of
            which a run takes one.
    """
    try:
        given = OverridesParser.create().parse_overrides(list(overrides))
    except OverrideParseException:  # Hydra raises it again with its own message
        return
    for override in given:
        if (CONF / (override.key_or_group or "?")).is_dir() and not override.is_delete():
            value = override.value()
            for choice in value.list if isinstance(value, ChoiceSweep) else [value]:
                _check_choice(override, choice)


def _check_choice(override: Override, choice: object) -> None:
    group = override.key_or_group
    names = choice if isinstance(choice, list) else [choice]
    if any(isinstance(name, int | float | dict | None) for name in names):
        hint = HOOK_HINT if group == "hooks" else ""
        raise ConfigurationError(f"{override.input_line}: must name a file of conf/{group}/{hint}")
    if group == "metric" and not names:
        raise ConfigurationError(f"{override.input_line}: choose at least one of conf/{group}/")
    if group in GROUPS and group not in MULTIPLE_CHOICE and len(names) != 1:
        raise ConfigurationError(f"{override.input_line}: a run has one {group}; choose one")
