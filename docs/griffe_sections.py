"""Makes a docstring legible on the site: its sections become lists, its formulas stay as typed."""

import re
import textwrap

import griffe

from docs.components import escaped, items

ENTRY = re.compile(r"(\s*[\w*]+: )(>?)(.*)")


class Sections(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring:
            obj.docstring.value = legible(obj.docstring.value)


def legible(docstring: str) -> str:
    """The docstring as Markdown; indented blocks, which are formulas, are code."""
    blocks = textwrap.dedent(docstring).split("\n\n")
    return "\n\n".join(legible_block(block) for block in blocks)


def legible_block(block: str) -> str:
    heading, _, section = block.partition("\n")
    if block.startswith(("    ", ">>>")):
        return block
    if heading == "Differences:":
        listed = "\n".join(f"- **{who}**: {escaped(what)}" for who, what in items(section))
        return f"{heading}\n" + textwrap.indent(listed, "    ")
    if re.match(r"(Args|Raises|Returns|Yields):$", heading):
        return "\n".join([heading, *map(legible_line, section.split("\n"))])
    if block.startswith("Elsewhere: "):
        return "**Elsewhere:** " + escaped(block.removeprefix("Elsewhere: "))
    return escaped(block)


def legible_line(line: str) -> str:
    """A line of `name: meaning`; a meaning that begins with > is no quotation."""
    entry = ENTRY.fullmatch(line)
    name, greater, meaning = entry.groups() if entry else ("", "", line)
    return name + ("\\>" if greater else "") + escaped(meaning)
