"""Configuration of a command with keys of its own, such as conf/index.yaml."""

from collections.abc import Sequence

from hydra import compose
from omegaconf import DictConfig

from engine.config.command_line import check_choices
from engine.config.compose import composing


def compose_command(name: str, arguments: Sequence[str], as_typed: Sequence[str]) -> DictConfig:
    """Compose conf/<name>.yaml with the arguments `key=value` of a command line.

    Args:
        name: of the file, without its suffix.
        arguments: of the command line.
        as_typed: keys whose values are paths: they are taken as they are typed, with the
            characters that mean something to Hydra, such as a comma or a parenthesis.
    """
    typed, others = as_typed_and_others(arguments, as_typed)
    with composing([f"--config-name={name}", *others]) as options:
        check_choices(options.overrides)
        config = compose(options.config_name, options.overrides)
    config.merge_with(typed)
    return config


def as_typed_and_others(
    arguments: Sequence[str], as_typed: Sequence[str]
) -> tuple[dict[str, str | None], list[str]]:
    """The values of the keys that are taken as they are typed, and all other arguments.

    `null` is None.
    """
    pairs = [argument.partition("=") for argument in arguments]
    typed = {key: None if value == "null" else value for key, _, value in pairs if key in as_typed}
    return typed, [argument for argument in arguments if argument.partition("=")[0] not in as_typed]
