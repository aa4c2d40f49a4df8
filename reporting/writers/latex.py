r"""A table as LaTeX; the document needs \usepackage{booktabs}.

A table of more than three columns of numbers spans both columns of the page, in small print.
"""

import re
from itertools import groupby
from math import isnan

from reporting.table import Cell, Column, Table, number, printable

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$^\dagger$",
    "ρ": r"$\rho$",
    "×": r"$\times$",
    "√": r"$\surd$",
    "π": r"$\pi$",
    "²": r"$^2$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "−": r"$-$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}

TIED = r"^{\dagger}"
NARROW = 3  # columns of numbers that fit one column of a page


def render(table: Table, spread: str = "spread", show_n: bool = False) -> str:
    """A `table` environment: a short caption, the table, and the details in a note below it.

    Commands, which belong into no paper, are comments before it.
    """
    wide = len(table.columns) > NARROW
    environment = "table*" if wide else "table"
    lines = [f"% {printable(f'{row}: {command}')}" for row, command in table.commands.items()]
    lines += [
        f"\\begin{{{environment}}}[t]",
        r"  \centering",
        *([r"  \small"] if wide else []),
        *caption(table),
        f"  \\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"    \toprule",
        *headings(table),
        r"    \midrule",
    ]
    for row in table.rows:
        cells = [shown(column, row, spread, show_n) for column in table.columns]
        lines.append("    " + " & ".join([escape(row), *cells]) + r" \\")
    lines += [r"    \bottomrule", r"  \end{tabular}", *note(table), f"\\end{{{environment}}}"]
    return "\n".join(lines) + "\n"


def caption(table: Table) -> list[str]:
    r"""`\caption[for the list of tables]{...}`: what the table has, and its marks."""
    if not table.title:
        return []
    title = escape(table.title).replace("]", "{]}")  # would end the argument
    text = ". ".join(filter(None, [table.title, table.legend]))
    return [f"  \\caption[{title}]{{{escape(text)}.}}"]


def note(table: Table) -> list[str]:
    """Note below the table: which runs it shows, and what its columns are."""
    sentences = [sentence.rstrip(".") for sentence in (*table.caption, *table.notes)]
    if not sentences:
        return []
    return [
        r"  \par\smallskip",
        r"  \begin{minipage}{\linewidth}",
        r"    \footnotesize",
        f"    {escape('. '.join(sentences))}.",
        r"  \end{minipage}",
    ]


def headings(table: Table) -> list[str]:
    """One line of datasets, each over its columns, and one of metrics."""
    heads = " & ".join(["Method", *(escape(column.heading) for column in table.columns)])
    if not table.several_datasets:
        return [f"    {heads} \\\\"]
    spans, rules, first = [], [], 2
    for dataset, own in groupby(table.columns, key=lambda column: column.dataset):
        width = len(list(own))
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(dataset)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return [f"    & {' & '.join(spans)} \\\\", f"    {' '.join(rules)}", f"    {heads} \\\\"]


def shown(column: Column, row: str, spread: str, show_n: bool) -> str:
    cell = column.cells.get(row)
    if cell is None:
        return "--"
    mean = number(cell.mean, column.digits, column.signed)
    mean = f"\\mathbf{{{mean}}}" if cell.best else f"\\underline{{{mean}}}" if cell.second else mean
    return f"${mean}{after(cell, column, spread, show_n)}{TIED * cell.tied}$"


def after(cell: Cell, column: Column, spread: str, show_n: bool) -> str:
    value = getattr(cell, spread)
    deviation = "" if isnan(value) else rf" \pm {number(value, column.digits)}"
    return deviation + (rf"\;(n{{=}}{cell.n})" if cell.n == 1 or (show_n and cell.n) else "")


def escape(text: str) -> str:
    text = re.sub(r"`([^`]*)`", r"\1", printable(text))
    guard = "{}" if text.startswith(("[", "*")) else ""  # else the argument of the \\ before
    return guard + "".join(SPECIAL.get(character, character) for character in text)
