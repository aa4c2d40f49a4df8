"""A table as Markdown, as GitHub shows it."""

from math import isnan

from reporting.table import Cell, Column, Table, number, printable

TIED = "†"


def render(table: Table, spread: str = "spread", show_n: bool = False) -> str:
    """Caption, table, notes and commands.

    Args:
        spread: which field of a cell follows ±: `spread` or `interval`.
        show_n: whether every cell names its number of seeds.
    """
    heads = [escape(heading(column, table.several_datasets)) for column in table.columns]
    lines = [escape(". ".join(table.sentences)) + ".", ""] if table.sentences else []
    lines += ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for row in table.rows:
        cells = [shown(column, row, spread, show_n) for column in table.columns]
        lines.append(f"| {escape(row)} | " + " | ".join(cells) + " |")
    lines += [line for note in table.notes for line in ("", printable(note))]
    if table.commands:
        lines += ["", "```bash", *table.commands.values(), "```"]
    return "\n".join(lines) + "\n"


def heading(column: Column, with_dataset: bool) -> str:
    return f"{column.dataset} {column.heading}" if with_dataset else column.heading


def shown(column: Column, row: str, spread: str, show_n: bool) -> str:
    cell = column.cells.get(row)
    if cell is None:
        return ""
    mean = number(cell.mean, column.digits, column.signed)
    mean = f"**{mean}**" if cell.best else f"<ins>{mean}</ins>" if cell.second else mean
    return mean + after(cell, column, spread, show_n) + TIED * cell.tied


def after(cell: Cell, column: Column, spread: str, show_n: bool) -> str:
    """` ± spread` where it is known; ` (n=1)` where there can be none, or `show_n` asks."""
    value = getattr(cell, spread)
    deviation = "" if isnan(value) else f" ± {number(value, column.digits)}"
    return deviation + (f" (n={cell.n})" if cell.n == 1 or (show_n and cell.n) else "")


def escape(text: str) -> str:
    """A name as text: no tag, no link, no end of a cell or a line."""
    text = printable(text).replace("\\", "\\\\").replace("|", "\\|")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("](", "]\\(")
