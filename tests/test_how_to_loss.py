"""docs/how_to/add_a_loss.md: its files, in an empty folder, pass and train as the page says."""

import ast
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import commands, write_files
from tests.run_server import Runs
from tests.run_server import runs as runs
from tests.run_server import server as server
from tests.test_main import only

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how_to" / "add_a_loss.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reader's folder."""
    folder = tmp_path / "reader"
    write_files(PAGE, folder)
    return folder


def run_pytest(folder: Path, *words: str) -> str:
    """What a line `<variables> python -m pytest <arguments>` of the page prints."""
    variables = dict(word.split("=", 1) for word in words if word.split("=")[0].isupper())
    arguments = [
        word.replace("$BENCHMARK", str(ROOT)) for word in words[words.index("pytest") + 1 :]
    ]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": f"{ROOT}:.", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-2000:]
    return finished.stdout


def test_the_loss_has_at_most_30_lines_of_code(folder: Path) -> None:
    source = (folder / "my_code" / "cosine_triplet.py").read_text()
    documented = [
        n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Module | ast.ClassDef)
    ]
    docstrings = [ast.get_docstring(node, clean=False) or "" for node in documented]
    prose = sum(line.strip() != "" for text in docstrings for line in text.split("\n"))
    prose += docstrings[1].endswith("    ")  # closing quotes on a line of their own
    assert len([line for line in source.splitlines() if line.strip()]) - prose <= 30


def test_it_passes_its_oracle_and_what_every_loss_must_pass(folder: Path) -> None:
    oracle, every_loss = (shlex.split(line) for line in commands(PAGE) if "pytest" in line)
    assert "1 passed" in run_pytest(folder, *oracle)
    said = run_pytest(folder, *every_loss)
    assert int(said.split(" passed")[0].split()[-1]) >= 20  # each with subtests


def test_it_trains_by_the_command_of_the_page(folder: Path, runs: Runs) -> None:
    (line,) = (line for line in commands(PAGE) if "main.py" in line)
    code, said = runs.command(line, folder, BENCHMARK=str(ROOT), PYTHONPATH=f"{ROOT}:.")
    assert code == 0, said
    assert (only(folder / "runs") / "summary.json").exists()
