"""docs/results.md tells of every option, and of none that is not there."""

import argparse
import re
from pathlib import Path

from reporting.published import sources
from scripts import aggregate, plot, report

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
TRIVIAL = {"--help", "--title"}


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings if "--" in name}


def test_the_page_names_every_option_and_no_other() -> None:
    parsers = [module.parser() for module in (aggregate, plot, report)]
    there = set().union(*map(options, parsers)) - TRIVIAL
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert told == there


def test_every_published_source_is_readable() -> None:
    assert len(sources()) > 30
    assert "roth2020" in sources()
