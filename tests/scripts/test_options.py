"""Every option of every command says what it does."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from engine.config.run_name import CONF

ROOT = Path(__file__).parents[2]
SCRIPTS = {path.stem: path.read_text() for path in (ROOT / "scripts").glob("[a-z]*.py")}
WITH_OPTIONS = sorted(name for name, text in SCRIPTS.items() if "argparse" in text)
WITH_KEYS = sorted(SCRIPTS.keys() - set(WITH_OPTIONS))  # key=value, as main.py


class ParsedError(Exception):
    """Carries the parser of a command out of it."""


def parser_of(script: str, monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """The parser with which a command reads its arguments."""

    def parse(self: argparse.ArgumentParser, *_arguments: object) -> None:
        raise ParsedError(self)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(ParsedError) as raised:
        importlib.import_module(f"scripts.{script}").main(["argument"])
    found: argparse.ArgumentParser = raised.value.args[0]
    return found


def actions(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """All options and arguments of a parser and of its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, subparser in action.choices.items():
                assert name in {choice.dest for choice in action._choices_actions}, name
                yield from actions(subparser)
        else:
            yield parser.prog, action


@pytest.mark.parametrize("script", WITH_OPTIONS)
def test_every_option_has_a_help_text(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = [
        f"{command} {'/'.join(action.option_strings) or action.dest}"
        for command, action in actions(parser_of(script, monkeypatch))
        if not action.help
    ]
    assert not silent


@pytest.mark.parametrize("script", WITH_OPTIONS)
def test_the_help_text_can_be_printed(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `%` in a help text is a format."""
    assert parser_of(script, monkeypatch).format_help().startswith("usage: python -m scripts.")


@pytest.mark.parametrize("script", WITH_KEYS)
def test_a_command_of_keys_prints_what_it_takes(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On standard output and without an error, so that a pipe gets it."""
    assert not importlib.import_module(f"scripts.{script}").main(["--help"])
    assert re.search(r"python -m scripts\.\w+ \S+=", capsys.readouterr().out)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_key_of_a_command_has_a_comment(name: str) -> None:
    """Beside it, or above it or the group that it is in."""
    text = (CONF / f"{name}.yaml").read_text()
    silent = []
    for key in yaml.safe_load(text):
        line = re.search(rf"(^#.*\n)?^{key}:.*(\n(  .*|$))*", text, re.MULTILINE)
        assert line
        if "#" not in line[0] and key not in ("defaults", "hydra", "seed"):
            silent.append(key)
    assert not silent
