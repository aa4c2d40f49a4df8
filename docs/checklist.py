"""The page of docs/checklist.yaml: what five source documents offer, and what shows it here."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import yaml

from docs.components import ROOT

FILE = ROOT / "docs" / "checklist.yaml"


class Claim(NamedTuple):
    """One thing that a document offers: shown by tests and commands, or left out for a reason."""

    document: str
    address: str | None
    group: str
    text: str
    tests: list[str]  # pytest ids
    commands: list[str]
    not_built: str | None


@cache
def claims() -> list[Claim]:
    """All claims, in the order of the file."""
    return list(_read())


def _read() -> Iterator[Claim]:
    for document in yaml.safe_load(FILE.read_text()):
        where = document["document"], document.get("address")
        for group, entries in document["groups"].items():
            for text, shown in entries.items():
                reason = shown["not_built"] if isinstance(shown, dict) else None
                shown_by = [] if isinstance(shown, dict) else shown
                tests = [one for one in shown_by if one.startswith("tests/")]
                commands = [one for one in shown_by if not one.startswith("tests/")]
                yield Claim(*where, group, text, tests, commands, reason)


def page() -> str:
    """The checklist: a count, then one table for each group of each document."""
    documents = dict.fromkeys((claim.document, claim.address) for claim in claims())
    missing = [claim for claim in claims() if claim.not_built]
    parts = [
        "---\nhide: [toc]\n---",
        "# Checklist",
        "The tables list what five documents on deep metric learning software offer, and what shows "
        "that it works here: tests, and commands that use it. A test checks that each of these tests "
        "exists and that each command is valid. [The differences](losses/differences.md) are the "
        "losses, miners and samplers whose numbers are others than in that software.",
        f"Of {len(claims())} rows, {len(missing)} are deliberately not built and give the reason.",
    ]
    for name, address in documents:
        parts += [f"## {f'[{name}]({address})' if address else name}", *tables(name)]
    return "\n\n".join(parts) + "\n"


def tables(document: str) -> Iterator[str]:
    own = [claim for claim in claims() if claim.document == document]
    for group in dict.fromkeys(claim.group for claim in own):
        rows = [row(claim) for claim in own if claim.group == group]
        yield "\n".join([f"### {group}\n", "| offered | shown by |", "|---|---|", *rows])


def row(claim: Claim) -> str:
    """One line of a table; the commands come first."""
    text = f"`{claim.text}`" if claim.text.startswith("--") else claim.text
    shown = [f"`{one}`" for one in [*claim.commands, *claim.tests]]
    said = f"*not built:* {claim.not_built}" if claim.not_built else "<br>".join(shown)
    return f"| {text} | {said} |"
