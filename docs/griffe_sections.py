"""Makes the sections `Differences:` and `Elsewhere:` of docstrings legible on the site."""

import textwrap

import griffe

from docs.components import items


class Sections(griffe.Extension):
    """Turns the entries of `Differences:` into a list, and sets `Elsewhere:` in bold."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring:
            obj.docstring.value = legible(obj.docstring.value)


def legible(docstring: str) -> str:
    """The docstring with Markdown in these two sections; everything else stays as it is."""
    return "\n\n".join(legible_block(block) for block in docstring.split("\n\n"))


def legible_block(block: str) -> str:
    heading, _, section = block.partition("\n")
    if heading.strip() == "Differences:":
        listed = "\n".join(f"- **{who}**: {what}" for who, what in items(section))
        indent = heading[: len(heading) - len(heading.lstrip())]
        return f"{heading}\n" + textwrap.indent(listed, indent + "    ")
    if block.startswith("Elsewhere: "):
        return "**Elsewhere:** " + block.removeprefix("Elsewhere: ")
    return block
