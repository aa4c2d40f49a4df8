"""The page of docs/checklist.yaml: what other documents offer, and what shows it here."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import yaml

from docs.components import ROOT

FILE = ROOT / "docs" / "checklist.yaml"


class Row(NamedTuple):
    """One thing that a document offers: shown by tests and commands, or not built for a reason."""

    document: str
    address: str | None
    group: str
    offered: str
    tests: list[str]  # pytest ids
    commands: list[str]
    not_built: str | None


@cache
def rows() -> list[Row]:
    """All rows, in the order of the file."""
    return list(_read())


def _read() -> Iterator[Row]:
    for document in yaml.safe_load(FILE.read_text()):
        where = document["document"], document.get("address")
        for group, entries in document["groups"].items():
            for offered, shown in entries.items():
                reason = shown["not_built"] if isinstance(shown, dict) else None
                shown_by = [] if isinstance(shown, dict) else shown
                tests = [one for one in shown_by if one.startswith("tests/")]
                commands = [one for one in shown_by if not one.startswith("tests/")]
                yield Row(*where, group, offered, tests, commands, reason)


def page() -> str:
    """The checklist: a count, then one table for each group of each document."""
    documents = dict.fromkeys((row.document, row.address) for row in rows())
    not_built = sum(bool(row.not_built) for row in rows())
    parts = [
        "---\nhide: [toc]\n---",
        "# Checklist",
        "The tables list what the documents of other deep metric learning software offer, and the "
        "tests and commands that show it here. A test checks that each of these tests exists and "
        "that each command is valid. Where a loss, miner or sampler gives other numbers than that "
        "software does under the same name, [the differences](losses/differences.md) say so.",
        f"Of {len(rows())} rows, {not_built} are deliberately not built and give the reason.",
    ]
    for name, address in documents:
        parts += [f"## {f'[{name}]({address})' if address else name}", *tables(name)]
    return "\n\n".join(parts) + "\n"


def tables(document: str) -> Iterator[str]:
    own = [row for row in rows() if row.document == document]
    for group in dict.fromkeys(row.group for row in own):
        lines = [line(row) for row in own if row.group == group]
        yield "\n".join([f"### {group}\n", "| offered | shown by |", "|---|---|", *lines])


def line(row: Row) -> str:
    """One line of a table; the commands come first."""
    offered = f"`{row.offered}`" if row.offered.startswith("--") else row.offered
    shown = "<br>".join(f"`{one}`" for one in [*row.commands, *row.tests])
    return f"| {offered} | {f'*not built:* {row.not_built}' if row.not_built else shown} |"
