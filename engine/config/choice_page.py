"""Pages of groups and choices: what `main.py --help loss=margin` and `scripts.show` print."""

from collections.abc import Iterator, Sequence
from os.path import relpath
from pathlib import Path
from textwrap import wrap

from engine.config.choices import Definition, choices, definitions, folders, groups, summary
from engine.config.errors import ConfigurationError, suggestion
from engine.config.run_name import CONF

WIDTH, INDENT = 100, 32  # columns
PLACES = 3  # choices of the same name that a message mentions


def page(word: str, config_dir: str | None = None, code: bool = False) -> str:
    """The choices of a group, `loss`, or one choice, `loss=margin`.

    Args:
        config_dir: a folder with more choices.
        code: whether the page of a choice has its code, too.

    Raises:
        ConfigurationError: there is no such group or choice; names a similar one.
    """
    searched = folders(config_dir)
    group, equals, name = word.lstrip("+~").partition("=")
    found = choices(group, searched)
    if not found:
        similar = _places(group, searched) or suggestion(group, groups(searched))
        raise ConfigurationError(f"{word}: there is no such group{similar}")
    if not equals:
        lines = [f"{group}=<choice>, one of {len(found)}"]
        return "\n".join([*lines, *(_choice_line(*item) for item in found.items()), ""])
    if name not in found:
        raise ConfigurationError(
            f"{word}: there is no such choice{suggestion(name, found)}; {group} has {len(found)}: "
            f"{', '.join(shortened(list(found)))}"
        )
    return "\n\n".join(_sections(word, found[name], code)) + "\n"


def shortened(names: Sequence[str]) -> list[str]:
    """The names of choices, with one entry for all in a folder: `roth2020/...`."""
    tops = [name.split("/")[0] + "/..." * ("/" in name) for name in names]
    return list(dict.fromkeys(tops))


def _sections(word: str, file: Path, code: bool) -> Iterator[str]:
    """Name, formula, paper, numbers and code of a choice."""
    yield word
    found = definitions(file)
    for one in found:
        yield one.docstring or f"{one.file.stem} has no docstring."
    for paper in dict.fromkeys(one.paper for one in found if one.paper):
        yield f"source: {paper}"
    yield f"numbers ({_relative(file)}):\n\n{file.read_text().rstrip()}"
    if found:
        yield "\n".join(f"code: {_place(one)}" for one in found)
    if code:
        for one in found:
            yield one.code


def _place(found: Definition) -> str:
    return f"{_relative(found.file)}:{found.line}"


def _relative(file: Path) -> str:
    """A path from the folder of the project, or as it is outside of it."""
    return relpath(file, CONF.parent) if file.is_relative_to(CONF.parent) else str(file)


def _choice_line(name: str, file: Path) -> str:
    """A choice and its summary, which begins on a line of its own after a long name."""
    lines = wrap(summary(file), WIDTH - INDENT, max_lines=2, placeholder=" ...")
    long = len(name) > INDENT - 4
    head = [f"  {name}"] if long else [f"  {name:{INDENT - 3}} {lines.pop(0)}"]
    return "\n".join([*head, *(" " * INDENT + line for line in lines)])


def _places(name: str, searched: Sequence[Path]) -> str:
    """The choices of this name in all groups, for a message; empty if there are none."""
    places = [f"{group}={name}" for group in groups(searched) if name in choices(group, searched)]
    return f", did you mean {' or '.join(places[:PLACES])}?" if places else ""
