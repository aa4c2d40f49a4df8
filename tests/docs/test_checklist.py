"""Every row of docs/checklist.yaml names tests that exist and commands that are valid."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
from functools import cache

import pytest

from docs.checklist import page, rows
from docs.components import ROOT
from engine.config.compose import compose_run
from engine.config.start import check_start

TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)(?:\[(.+)\])?")
TESTS = sorted({test for row in rows() for test in row.tests})
COMMANDS = sorted({command for row in rows() for command in row.commands})
WITH_CASE = [test for test in TESTS if test.endswith("]")]


@cache
def defined(file: str) -> set[str]:
    """Names of the tests of a file."""
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@cache
def choices_and_pages() -> set[str]:
    """Names of all choices of the configuration and of the pages on components of one's own."""
    files = [*(ROOT / "conf").rglob("*.yaml"), *(ROOT / "docs" / "how_to").glob("*.md")]
    return {file.stem for file in files}


def words(command: str) -> list[str]:
    """The words of a command without the variables that it sets."""
    parts = shlex.split(command)
    return [part for i, part in enumerate(parts) if i or not re.match(r"[A-Z_]+=", part)]


def test_every_row_is_shown_or_says_why_it_is_not_built() -> None:
    assert len(rows()) > 250
    for row in rows():
        shown = bool(row.tests or row.commands)
        assert shown != bool(row.not_built), row.offered


def test_the_flags_of_roth_et_al_are_all_there() -> None:
    flags = [row.offered for row in rows() if row.document.endswith("parameters.py")]
    assert len(set(flags)) == len(flags) == 87
    assert all(re.fullmatch(r"--[a-z0-9_]+", flag) for flag in flags)


def test_every_test_exists(subtests: pytest.Subtests) -> None:
    assert len(TESTS) > 100
    for test in TESTS:
        with subtests.test(test):
            match = TEST.fullmatch(test)
            assert match is not None
            file, name, case = match.groups()
            assert name in defined(file)
            if case is not None:
                assert case.split("-")[0] in choices_and_pages()


def test_every_command_is_of_a_program_that_exists(subtests: pytest.Subtests) -> None:
    for command in COMMANDS:
        with subtests.test(command):
            program, *rest = words(command)
            if program == "sh":
                script, study, *_ = rest
                assert (ROOT / script).is_file()
                assert (ROOT / "conf" / "experiment" / study).is_dir()
            elif rest[0] == "-m":
                assert program == "python"
                assert importlib.util.find_spec(rest[1]) is not None
            else:
                assert (program, rest[0]) == ("python", "main.py")


@pytest.mark.extended
def test_every_configuration_is_valid(subtests: pytest.Subtests) -> None:
    configurations = [words(c)[2:] for c in COMMANDS if words(c)[1] == "main.py"]
    assert len(configurations) > 150
    for arguments in configurations:
        with subtests.test(" ".join(arguments)):
            check_start(compose_run(arguments), arguments)


@pytest.mark.extended
def test_every_case_is_one_that_pytest_collects() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *WITH_CASE], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_every_row() -> None:
    text = page()
    assert text.count("\n| ") == len(rows()) + text.count("| offered | shown by |")
    for row in rows():
        for shown in (*row.tests, *row.commands, row.not_built or ""):
            assert shown in text
