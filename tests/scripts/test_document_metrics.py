"""The page of the metrics: up to date, complete, and its example runs."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evaluation.metrics.metric import direction_of
from scripts.docstrings import listed, markdown
from scripts.document_metrics import (
    BETTER,
    PAGE,
    ROOT,
    Entry,
    page,
    read,
    title_of,
)

ENTRIES = list(read())


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run python -m scripts.document_metrics"


def test_every_number_is_on_the_page() -> None:
    text = PAGE.read_text()
    for file in (ROOT / "conf" / "metric").glob("*.yaml"):
        for name in yaml.safe_load(file.read_text()):
            assert f"`{name}`" in text, name


@pytest.mark.parametrize("entry", ENTRIES, ids=title_of)
def test_every_docstring_says_range_and_the_direction_that_the_program_uses(entry: Entry) -> None:
    text = " ".join(inspect.getdoc(entry.metric).split())
    assert re.search(r"\bRange\b|\brange\b", text)
    words = {True: "igher is better", False: "ower is better", None: "o better direction"}
    direction = direction_of(entry.needs)
    assert words.pop(direction) in text
    assert not any(word in text for word in words.values())
    assert BETTER[direction]


@pytest.mark.parametrize("entry", ENTRIES, ids=title_of)
def test_names_that_mean_something_else_elsewhere_say_so(entry: Entry) -> None:
    ambiguous = {"map", "map@k", "map_c", "map_lim", "precision@k", "nmi", "recall@k", "map@r"}
    ambiguous |= {"dists@intra", "dists@inter", "rho_spectrum@m", "fnmr@fmr", "f1"}
    if title_of(entry) in ambiguous:
        assert "\n\nElsewhere: " in inspect.getdoc(entry.metric)


def test_titles_are_what_users_type() -> None:
    titles = {title_of(entry) for entry in ENTRIES}
    assert {"recall@k", "map@r", "map@k", "map_lim", "dists@ratio", "hubness@10", "nmi"} <= titles


def test_blocks_of_a_docstring_become_markdown() -> None:
    assert markdown("two\nlines") == "two lines\n"
    assert markdown("    x = 1") == "```text\nx = 1\n```\n"
    assert markdown(">>> 1\n1") == "```python\n>>> 1\n1\n```\n"
    assert (
        markdown("Args:\n    k: one\n        two\n    m: three") == "- `k`: one two\n- `m`: three\n"
    )
    assert listed("UndefinedError: no pair", undefined=True) == "- NaN if no pair\n"


def test_the_example_on_the_page_runs_from_an_empty_folder(tmp_path: Path) -> None:
    """Someone copies the two files and the command of the page into a folder of their own."""
    fenced = re.compile(r"```(?:python|yaml)\n# ([\w./]+).*\n([\s\S]*?)```")
    blocks = dict(fenced.findall(PAGE.read_text()))
    assert set(blocks) == {"hits.py", "my_conf/metric/found.yaml"}
    for name, content in blocks.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    imported = set(re.findall(r"^from (\S+) import", blocks["hits.py"], re.MULTILINE))
    assert imported == {"core.types", "evaluation.metrics.ranking"}, "only what the example uses"
    (command,) = re.findall(r"PYTHONPATH=\. python (\S*main.py .*)\n", PAGE.read_text())
    command = command.replace("path/to/this/repository", str(ROOT))
    small = "dataset=digits tracker.mode=disabled trainer.iterations=2 trainer.workers=1"
    done = subprocess.run(
        [sys.executable, *command.split(), *small.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / done.stdout.splitlines()[-1]).read_text())
    assert 0 < summary["last"]["test/found@5"] <= 1
