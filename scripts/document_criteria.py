"""Write docs/criteria.md from the docstrings of objectives and miners:

python -m scripts.document_criteria
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from hydra.utils import get_class

from core.distance import Lp
from core.tuples import sample_weights, to_pairs
from engine.config.compose import compose_run
from scripts.docstrings import blocks_of, cell, joined, markdown

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "criteria.md"
DIFFERENCES = "Differences:"
PARTS = {  # what several share
    "distances `Lp`": Lp,
    "pairs of triplets": to_pairs,
    "classification given tuples": sample_weights,
}

HEAD = """\
# Objectives and miners

Written by `python -m scripts.document_criteria` from the docstrings; edit those.

`loss=margin batchminer=semihard` chooses; `loss.margin=0.1` changes a number. Every objective is
called as `loss(embeddings, labels)` or, with the choice of a miner, `loss(embeddings, labels,
miner(embeddings, labels))`, in plain Python as well as in a run. Similarities and distances are
those of `core/distance.py`, averages those of `core/reducer.py`; both can be exchanged where an
objective lists them.
"""

DIFFER = """\
## Where others compute something else

The paper is the default. What others compute under the same name, and what gives their number here:

| objective or miner | who | difference |
|---|---|---|
"""


class Entry(NamedTuple):
    """One file of conf/loss or conf/batchminer, and the class that it builds."""

    name: str
    default_miner: str
    built: type

    @property
    def preset(self) -> str:
        """The file's own words, where it only gives other numbers to the class of another file."""
        if self.built.__module__.endswith(f".{self.name}"):
            return ""
        paths = [ROOT / "conf" / group / f"{self.name}.yaml" for group in ("loss", "batchminer")]
        (path,) = (path for path in paths if path.exists())
        lines = takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
        return " ".join(line.removeprefix("#").strip() for line in lines)

    @property
    def source(self) -> str:
        """First paragraph of the module: the paper."""
        return joined((inspect.getdoc(inspect.getmodule(self.built)) or "").split("\n\n")[0])


def page() -> str:
    """The whole page."""
    losses, miners = entries("loss"), entries("batchminer")
    parts = [
        HEAD,
        "## Objectives\n",
        summary(losses, "loss"),
        DIFFER + differences(losses + miners) + differences_of_parts(),
    ]
    parts += ["## Definitions\n", *(definition(entry) for entry in defined(losses))]
    parts += ["## Miners\n", summary(miners, "batchminer")]
    return "\n".join([*parts, *(definition(entry) for entry in defined(miners))])


@cache  # every choice is composed: some seconds
def entries(group: str) -> list[Entry]:
    found = []
    for path in sorted((ROOT / "conf" / group).glob("*.yaml")):
        if path.stem != "none":
            overrides = [f"{group}={path.stem}"] + (["loss=triplet"] if group != "loss" else [])
            config = compose_run(overrides, return_hydra_config=True)
            miner = config.hydra.runtime.choices["batchminer"]
            found.append(Entry(path.stem, miner, get_class(config[group]["_target_"])))
    return found


def summary(found: list[Entry], group: str) -> str:
    """One line each."""
    heads = ["", "what it asks for", "source"] + (["default miner"] if group == "loss" else [])
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for entry in found:
        asks = entry.preset or blocks_of(entry.built)[0]
        row = [f"`{group}={entry.name}`", cell(asks), cell(entry.source)]
        if group == "loss":
            row.append(f"`{entry.default_miner}`")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def differences(found: list[Entry]) -> str:
    rows = [row for entry in defined(found) for row in rows_of(entry.name, entry.built)]
    return "\n".join(rows) + "\n"


def differences_of_parts() -> str:
    rows = [row for name, part in PARTS.items() for row in rows_of(name, part)]
    return "\n".join(rows) + "\n"


def rows_of(name: str, documented: object) -> Iterator[str]:
    """One row for each of those who compute something else."""
    for block in blocks_of(documented):
        if block.startswith(DIFFERENCES):
            items = textwrap.dedent(block.partition("\n")[2])
            for item in re.split(r"\n(?! )", items):
                who, _, what = joined(item).partition(": ")
                yield f"| {name} | {who} | {cell(what)} |"


def defined(found: list[Entry]) -> list[Entry]:
    """Without the presets, which are defined where their class is."""
    return [entry for entry in found if not entry.preset]


def definition(entry: Entry) -> str:
    """Source, formula and arguments."""
    blocks = [block for block in blocks_of(entry.built) if not block.startswith(DIFFERENCES)]
    return "\n".join([f"### {entry.name}\n", entry.source + "\n", *map(markdown, blocks)])


if __name__ == "__main__":
    PAGE.write_text(page())
    print(PAGE)
