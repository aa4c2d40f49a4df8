"""Choices of the groups of conf/: their files, what each of them is, and the code behind it.

Everything is read from files; nothing is composed or imported.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from engine.config.run_name import CONF

PACKAGE = "# @package _global_\n"  # of Hydra, above the comment


class Definition(NamedTuple):
    """A class or function: its file, first line, code and docstring, and the paper of its module.

    Args:
        paper: the docstring of the module, which names the paper.
    """

    file: Path
    line: int
    code: str
    docstring: str
    paper: str


def folders(config_dir: str | None = None) -> list[Path]:
    """conf/, and a folder with more choices, as `--config-dir` names it."""
    return [CONF, *([Path(config_dir)] if config_dir else [])]


def groups(searched: Sequence[Path]) -> list[str]:
    """All groups, by name; a folder in a group belongs to its choices, as experiment/roth2020."""
    tops = {path.name for root in searched for path in root.glob("*/")}
    nested = {f"hydra/{path.name}" for path in (CONF / "hydra").iterdir()}
    return sorted({*tops - {"hydra"}, *nested})


def choices(group: str, searched: Sequence[Path]) -> dict[str, Path]:
    """The files of a group by the names of the choices, in their order."""
    found = {}
    for folder in searched:
        for file in (folder / group).rglob("*.yaml"):
            found[file.relative_to(folder / group).with_suffix("").as_posix()] = file
    return dict(sorted(found.items()))


def summary(file: Path) -> str:
    """The first line of the docstring, else the comment at the top, else what is configured."""
    text = file.read_text()
    own = definition(_own_target(text))
    if own and own.docstring:
        return own.docstring.partition("\n")[0]
    comment = takewhile(re.compile(r"# \S").match, text.removeprefix(PACKAGE).splitlines())
    if said := " ".join(line[2:] for line in comment):
        return said
    described = [found.docstring for found in definitions(file) if found.docstring]
    return described[0].partition("\n")[0] if described else _own_target(text) or "-"


def definitions(file: Path) -> list[Definition]:
    """The classes and functions that a choice configures.

    This is the one of its `_target_`; for choices of several parts, such as metrics, of all parts;
    and for a variant of another choice, that of the other.
    """
    found = (definition(target) for target in dict.fromkeys(_targets(file)))
    return [known for known in found if known is not None]


def definition(target: str) -> Definition | None:
    """The class or function of a `_target_`; None if it is none of a Python file on the path."""
    module, _, name = target.rpartition(".")
    name_of_file = f"{module.replace('.', '/')}.py"
    candidates = [Path(root) / name_of_file for root in (str(CONF.parent), *sys.path)]
    file = next((path for path in candidates if module and path.is_file()), None)
    if file is None:
        return None
    text = file.read_text()
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
            code = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
            docstring, paper = ast.get_docstring(node) or "", ast.get_docstring(tree) or ""
            return Definition(file, node.lineno, code, docstring, paper)
    return None


def _own_target(text: str) -> str:
    found = re.search(r"^_target_: *([\w.]+)", text, re.MULTILINE)
    return found[1] if found else ""


def _targets(file: Path) -> Iterator[str]:
    text = file.read_text()
    if text.startswith(PACKAGE):  # a protocol or experiment, which sets keys of many groups
        return
    if own := _own_target(text):
        yield own
        return
    content = yaml.safe_load(text)
    if not isinstance(content, dict):  # a list of files to download
        return
    yield from _inner_targets(content)
    for name in content.get("defaults", []):
        if isinstance(name, str) and name != "_self_":
            yield from _targets(file.with_name(f"{name}.yaml"))


def _inner_targets(node: Any) -> Iterator[str]:  # noqa: ANN401  # plain containers of any depth
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        yield str(node["_target_"])
        return
    for child in node.values():
        yield from _inner_targets(child)
