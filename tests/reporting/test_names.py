"""Names that somebody gave to a group, a dataset or a value, in every kind of table and command."""

import csv
import io
import shlex
from pathlib import Path

import pytest

from reporting.command import UNKNOWN, command, written
from reporting.run import Run
from scripts.aggregate import main
from tests.reporting.test_command import run_of
from tests.run_folders import write_run

NAMES = (
    *("=HYPERLINK(1)", "+1", "-1", "@x", "<img src=x>", "a|b", "a\\|b", "[x](http:x)"),
    *("a\nb", "a\rb", "[2pt]", "*", "\\input{x}", "%", "a\u2028b"),
)


def table(root: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Of one run per name, each with its command."""
    for number, name in enumerate(NAMES):
        write_run(root, f"d,=1+1/{name}_{number:08x}/seed0", {"test/recall@1": number / 100})
    main([str(root), "--metrics", "recall@1", "--format", kind, "--commands"])
    return capsys.readouterr().out


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user opens the CSV of somebody's runs in a spreadsheet."""
    rows = list(csv.reader(io.StringIO(table(tmp_path, "csv", capsys))))
    numbers = [row for row in rows if len(row) == 10][1:]
    assert len(numbers) == len(NAMES)
    for row in rows:
        assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "-", "@"))], row
    assert [row[0] for row in numbers if "HYPER" in row[0]] == ["'=HYPERLINK(1)"]


def test_markdown_holds_names_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user shows the table of somebody's runs on a page that takes HTML, links and images."""
    text = table(tmp_path, "markdown", capsys)
    assert "<img" not in text
    assert "](http" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(NAMES)
    for row in rows:
        bare = row.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == 3, row


def test_latex_holds_names_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user pastes the table of somebody's runs, with a line break in a name, into a paper."""
    text = table(tmp_path, "latex", capsys)
    comments, body = text.split("\\begin{table}")
    assert all(line.startswith("% ") for line in comments.splitlines())
    rows = [line for line in body.splitlines() if line.endswith("$ \\\\")]
    assert len(rows) == len(NAMES)
    assert not [row for row in rows if row.strip().startswith(("[", "*"))]
    assert "\\input" not in body


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("val/recall@1", "val/recall@1"),
        ("a b", "a b"),
        ("0.5", '"0.5"'),
        ("null", '"null"'),
        ("a,b", '"a,b"'),
        ("it's", '"it\'s"'),
        (["test/nmi", "x:y"], "[test/nmi,x:y]"),
    ],
)
def test_a_value_is_quoted_only_where_hydra_needs_it(value: object, expected: str) -> None:
    assert written(value) == expected


def test_the_shell_quotes_a_command_once() -> None:
    """A user pastes the command of a run that was selected on another metric."""
    run = run_of("margin", "dataset=cub200", "loss=margin", "evaluation.select_on=val/map@r")
    assert "evaluation.select_on=val/map@r" in command(run, [3])
    run = run_of("margin", "dataset=csv", "loss=margin", "dataset.path='a, b.csv'")
    words = shlex.split(command(run, [3]))
    assert 'dataset.path="a, b.csv"' in words
    assert run_of("margin", *words[2:-1]).config == run.config


@pytest.mark.parametrize(
    "change", [{"loss": {"_target_": "os.system"}}, {"group": "${oc.env:HOME}"}], ids=str
)
def test_what_a_stranger_wrote_is_no_command(change: dict[str, object]) -> None:
    """A user pastes the command of somebody's run, which names other code."""
    run = run_of("margin", "dataset=cub200", "loss=margin")
    assert command(Run("cub200", run.group, 3, config=run.config | change), [3]) == UNKNOWN
