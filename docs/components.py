"""The components that a configuration can choose, read from conf/ and from the source.

Nothing of the project is imported: a page is made of a YAML file and of a docstring.
"""

import ast
import re
import textwrap
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
NO_CLASS = "types.NoneType"


class Choice(NamedTuple):
    """One file of conf/loss, conf/batchminer, conf/method, ...: a choice and what it builds."""

    group: str
    name: str
    files: list[Path]  # its own YAML file first, then those that it takes its numbers from
    targets: list[str]  # dotted names of the classes or functions
    default_miner: str | None

    @property
    def content(self) -> dict[str, Any]:
        """The keys of its own YAML file."""
        content: dict[str, Any] = yaml.safe_load(self.files[0].read_text())
        return content

    @property
    def comment(self) -> str:
        """The comment at the head of its YAML file, or that of its first line."""
        lines = self.files[0].read_text().splitlines()
        head = list(takewhile(lambda line: line.startswith("#"), lines))
        said = joined("\n".join(line.removeprefix("#") for line in head))
        return said or lines[0].partition("# ")[2].capitalize()

    @property
    def summary(self) -> str:
        """What it is, in one line: of the docstring, or of the YAML file of a preset."""
        if is_owner(self):
            return first_paragraph(docstring(self.targets[0]))
        return self.comment

    @property
    def source(self) -> str:
        """The paper: the first paragraph of the module; not every method has one."""
        found = first_paragraph(module_docstring(self.targets[0])) if self.targets else ""
        return "" if self.group == "method" and "http" not in found else found


@cache
def choices(group: str) -> list[Choice]:
    """All files of a group of conf/, in alphabetical order."""
    return [
        read_choice(group, path.stem) for path in sorted((ROOT / "conf" / group).glob("*.yaml"))
    ]


def read_choice(group: str, name: str) -> Choice:
    path = ROOT / "conf" / group / f"{name}.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    defaults = content.pop("defaults", [])
    parents = [
        read_choice(group, entry)
        for entry in defaults
        if isinstance(entry, str) and entry != "_self_"
    ]
    files = [path, *(file for parent in parents for file in parent.files)]
    targets = [target for target in targets_of(content, group) if target != NO_CLASS]
    targets = targets or [target for parent in parents for target in parent.targets]
    miners = [miner_of(entry) for entry in defaults] + [parent.default_miner for parent in parents]
    miner = next((miner for miner in miners if miner), None)
    return Choice(group, name, files, list(dict.fromkeys(targets)), miner)


def targets_of(content: dict[str, Any], group: str) -> list[str]:
    """The `_target_` of a component; a file of conf/metric has one for each number."""
    if group == "metric":
        return [number["_target_"] for number in content.values()]
    return [content["_target_"]] if "_target_" in content else []


def miner_of(entry: object) -> str | None:
    """The miner that an entry of a defaults list chooses, if it chooses one for the run."""
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key.startswith("override /batchminer"):
                return str(value)
    return None


@cache
def owners() -> dict[str, Choice]:
    """Target -> the choice whose page defines it: the one named like its module, else the first."""
    found: dict[str, Choice] = {}
    for group in ("loss", "batchminer", "method", "sampler", "metric"):
        for choice in choices(group):
            for target in choice.targets:
                if target not in found or target.split(".")[-2] == choice.name:
                    found[target] = choice
    return found


def is_owner(choice: Choice) -> bool:
    """Whether its page has the definition; that of a preset points to the page that has it."""
    return any(owners()[target] is choice for target in choice.targets)


@cache
def parsed(module: str) -> ast.Module:
    path = ROOT / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text())


def module_docstring(target: str) -> str:
    return ast.get_docstring(parsed(target.rpartition(".")[0])) or ""


def definition(target: str) -> ast.ClassDef | ast.FunctionDef:
    """The syntax tree of a class or function."""
    module, _, name = target.rpartition(".")
    for node in parsed(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"{target} is not defined in {module}")


def docstring(target: str) -> str:
    return ast.get_docstring(definition(target)) or ""


def required_arguments(target: str) -> list[str]:
    """Names of the arguments that have no default."""
    arguments = signature(target)
    required = arguments.args[: len(arguments.args) - len(arguments.defaults)]
    return [argument.arg for argument in required if argument.arg != "self"]


def takes(target: str, argument: str) -> bool:
    """Whether a class or function has an argument of this name."""
    arguments = signature(target)
    return any(a.arg == argument for a in (*arguments.args, *arguments.kwonlyargs))


def signature(target: str) -> ast.arguments:
    """The arguments of a function, or of the constructor of a class, which may have none."""
    node = definition(target)
    if isinstance(node, ast.FunctionDef):
        return node.args
    inits = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return inits[0].args if inits else ast.arguments([], [], None, [], [], None, [])


def distance_taken(target: str) -> str | None:
    """What the docstring of a component says of its argument `distance`; None if it has none."""
    if not takes(target, "distance"):
        return None
    said = re.search(r"\n    distance: (.+?)(?=\n    \w|$)", docstring(target), re.DOTALL)
    return joined(said[1]) if said else ""


def no_distance_because(target: str) -> str:
    """Why a component takes no `distance`, in the words of its docstring; empty if it is silent."""
    said = re.search(
        r"takes no `distance`: ([^.]+)|([^.]+), so that no other `distance` can be chosen",
        joined(docstring(target)),
    )
    return (said[1] or said[2]).strip() if said else ""


def classes_of(module: str) -> list[str]:
    """Dotted names of the classes of a module that have a constructor."""
    nodes = [node for node in parsed(module).body if isinstance(node, ast.ClassDef)]
    targets = [f"{module}.{node.name}" for node in nodes]
    return [target for target in targets if signature(target).args]


def joined(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines()).strip()


def escaped(text: str) -> str:
    """Prose in which Markdown finds no emphasis: `s_ij` and `a * b` stay as they are."""
    kept = r"`[^`]*`|https?://\S+"
    return re.sub(rf"{kept}|[_*]", lambda m: m[0] if len(m[0]) > 1 else f"\\{m[0]}", text)


def first_paragraph(text: str) -> str:
    return joined(text.split("\n\n")[0])


def items(section: str) -> list[tuple[str, str]]:
    """`who: what` entries of an indented section; a further line of an entry is indented."""
    entries = re.split(r"\n(?! )", textwrap.dedent(section).strip("\n"))
    return [(who, what.strip()) for who, _, what in (joined(e).partition(": ") for e in entries)]


def differences(text: str) -> list[tuple[str, str]]:
    """Who computes something else under the same name, and what; from `Differences:`."""
    for block in text.split("\n\n"):
        heading, _, section = block.partition("\n")
        if heading == "Differences:":
            return items(section)
    return []


def elsewhere(text: str) -> str:
    """What other code computes under the name of a metric; from the paragraph `Elsewhere:`."""
    for block in text.split("\n\n"):
        if block.startswith("Elsewhere: "):
            return joined(block.removeprefix("Elsewhere: "))
    return ""
