"""Names of rows and columns as papers print them: `proxy_anchor-convnet` becomes `Proxy Anchor`."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import yaml

from core.errors import UserError
from reporting.table import Table

FILE = Path(__file__).with_name("names.yaml")
LABEL = re.compile(
    r"(?P<parts>[^\[]+?)(?: \[(?P<settings>.*)\])?"
)  # `loss-miner-backbone [key=value]`
AT_K = re.compile(r"(recall|precision|r_precision|ndcg|hit_rate|map)@(\d+)")
SPELLED = {"recall": "Recall", "precision": "Precision", "ndcg": "NDCG", "map": "mAP"}
GROUPS = ("loss", "batchminer", "backbone", "method")  # in the order of a run's name

Own = Mapping[str, str]  # names of the user's, which win: plain -> printed
NO_NAMES: Own = {}


@cache
def names() -> dict[str, dict[str, str]]:
    """names.yaml: group -> choice -> printed name."""
    found: dict[str, dict[str, str]] = yaml.safe_load(FILE.read_text())
    return found


def read_names(file: Path) -> dict[str, str]:
    """Names of a CSV file with two columns and no heading: plain name, printed name.

    Raises:
        UserError: the file cannot be read, or a line has not two fields.
    """
    try:
        lines = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line and (len(line) != 2 or not all(field.strip() for field in line)):
            raise UserError(
                f"{file}, line {number}: expected a plain name, a comma and a printed name, "
                f"such as proxy_anchor,Proxy Anchor; got {','.join(line) or 'nothing'}"
            )
    return {plain.strip(): printed.strip() for plain, printed in filter(None, lines)}


def printed(group: str, name: str, own: Own = NO_NAMES) -> str:
    """The printed name of a choice, a dataset or a metric; without one, its plain name."""
    known = {**names().get(group, {}), **own}
    found = AT_K.fullmatch(name)
    if group == "metric" and name not in known and found and found[1] in SPELLED:
        return f"{SPELLED[found[1]]}@{found[2]}"
    return known.get(name, name)


def backbone_of(label: str) -> str | None:
    """The backbone in the name of a row; None for a name of the user's own."""
    choices = choices_of(label)
    return None if choices is None else choices.get("backbone")


def choices_of(label: str) -> dict[str, str] | None:
    """group -> choice of a row that is named by its choices; None for any other name.

    Each part is a choice of a group after that of the part before; the loss comes first.
    """
    matched = LABEL.fullmatch(label)
    parts = matched["parts"].split("-") if matched else []
    found: dict[str, str] = {}
    for part in parts:
        later = GROUPS[GROUPS.index([*found][-1]) + 1 :] if found else GROUPS[:1]
        group = next((group for group in later if part in names()[group]), None)
        if group is None:
            return None
        found[group] = part
    return found or None


def row_name(label: str, own: Own, with_backbone: bool) -> str:
    """`Triplet (distance-weighted, ResNet-50)`; a name of the user's own stays.

    Settings follow: `Triplet (distance-weighted, greedy coreset, softened=True)`.
    """
    if label in own:
        return own[label]
    choices = choices_of(label)
    if choices is None:
        return label
    shown = {group: printed(group, choice, own) for group, choice in choices.items()}
    loss = shown.pop("loss")
    if not with_backbone:
        shown.pop("backbone", None)
    matched = LABEL.fullmatch(label)
    settings = (matched["settings"] or "").split(", ") if matched else []
    details = [*shown.values(), *(setting_name(setting, own) for setting in settings if setting)]
    return loss + (f" ({', '.join(details)})" if details else "")


def setting_name(setting: str, own: Own) -> str:
    """`sampler=greedy_coreset` -> `greedy coreset`; any other setting stays."""
    group, _, choice = setting.partition("=")
    return printed(group, choice, own) if choice in names().get(group, {}) else setting


def printed_rows(rows: Sequence[str], own: Own = NO_NAMES) -> dict[str, str]:
    """Plain name of each row -> its printed name, with the backbone where the rows have several.

    Rows that would have the same name keep their plain ones.
    """
    several = len({backbone_of(row) for row in rows} - {None}) > 1
    renamed = {row: row_name(row, own, several) for row in rows}
    count = Counter(renamed.values())
    return {row: name if count[name] == 1 else row for row, name in renamed.items()}


def with_printed_names(table: Table, own: Own = NO_NAMES) -> Table:
    """The table with printed names of rows, datasets and metrics.

    A backbone that all rows share is named in a note and not in the rows.
    """
    renamed = printed_rows(table.rows, own)
    backbones = {backbone_of(row) for row in table.rows} - {None}
    columns = [
        replace(
            column,
            dataset=printed("dataset", column.dataset, own),
            heading=printed("metric", column.heading, own),
            cells={renamed.get(row, row): cell for row, cell in column.cells.items()},
        )
        for column in table.columns
    ]
    shared = [f"Backbone: {printed('backbone', str(name), own)}" for name in backbones]
    notes = [*table.notes, *(shared if len(shared) == 1 else [])]
    return replace(table, rows=[renamed[row] for row in table.rows], columns=columns, notes=notes)


def title(metrics: Iterable[str], datasets: Iterable[str], own: Own = NO_NAMES) -> str:
    """Short caption: `Recall@1 and NMI on CUB200-2011`."""
    shown = (
        [printed("metric", metric, own) for metric in metrics],
        [printed("dataset", dataset, own) for dataset in datasets],
    )
    return " on ".join(enumerated(names) for names in shown)


def enumerated(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
