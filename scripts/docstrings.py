"""Docstrings as Markdown."""

import inspect
import re
import textwrap


def blocks_of(documented: object) -> list[str]:
    """The docstring, split where a line is empty."""
    return (inspect.getdoc(documented) or "").split("\n\n")


def markdown(block: str) -> str:
    """One block of a docstring: prose, formula, arguments, example."""
    if block.startswith(("Args:", "Raises:")):
        heading, _, items = block.partition("\n")
        return listed(textwrap.dedent(items), undefined=heading == "Raises:")
    if block.startswith(">>>"):
        return f"```python\n{block}\n```\n"
    if block.startswith("    "):
        return f"```text\n{textwrap.dedent(block)}\n```\n"
    return joined(block) + "\n"


def listed(items: str, undefined: bool) -> str:
    """`name: meaning` lines as a list; a meaning may go on, indented, on the next line."""
    lines = []
    for item in re.split(r"\n(?! )", items):
        name, _, meaning = joined(item).partition(": ")
        lines.append(f"- NaN if {meaning}" if undefined else f"- `{name}`: {meaning}")
    return "\n".join(lines) + "\n"


def joined(block: str) -> str:
    return " ".join(line.strip() for line in block.splitlines())


def cell(block: str) -> str:
    """One cell of a table."""
    text = joined(block).strip()
    start = text[0].upper() if text[0].isascii() else text[0]
    return (start + text[1:]).replace("|", "\\|")
