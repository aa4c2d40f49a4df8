"""The text of `python main.py --help`.

It is read from the files of conf/ and from docstrings. Nothing is composed or imported, so that the
help is there at once.
"""

import ast
import json
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from textwrap import wrap
from typing import Any

import yaml

from engine.config.errors import ConfigurationError, suggestion
from engine.config.run_name import CONF

WIDTH, INDENT = 100, 32  # columns
PACKAGE = "# @package _global_\n"  # of Hydra, above the comment
GROUPS = {  # what is chosen, and the choices that are used most
    "dataset": ("images and their classes", ["cub200", "cars196", "sop", "inshop", "csv"]),
    "loss": (
        "training objective",
        ["triplet", "contrastive", "multisimilarity", "proxy_anchor", "arcface", "ntxent"],
    ),
    "batchminer": ("tuples of a batch that the loss compares", ["semihard", "distance"]),
    "sampler": ("images of a batch", ["class_random", "balance", "hierarchical"]),
    "method": ("losses of a step: further networks, slices or views", ["cascaded", "classifier"]),
    "backbone": ("network", []),
    "transform": ("crop and augmentation", []),
    "optimizer": ("optimizer", []),
    "scheduler": ("learning rate over time", []),
    "trainer": ("length, precision, devices", []),
    "validation": ("images held out to select an epoch", []),
    "metric": ("numbers of the evaluation", []),
    "evaluation": ("how the metrics are computed", []),
    "hooks": ("what a run calls after its steps and evaluations", ["early_stopping", "ema"]),
    "tracker": ("services and files that get a copy of the records; several as a list", []),
    "protocol": ("settings that a published study shares", []),
    "experiment": ("one published result", []),
}
KEYS = {  # the keys that are used most
    "seed": "random seed of the weights, the batches and the augmentation",
    "force": "true starts a finished or interrupted run afresh",
    "group": "name of the run folder; null: the choices and a hash",
    "paths.data": "parent folder of the datasets; else the variable DML_DATA",
    "paths.runs": "parent folder of the runs",
    "sampler.batch_size": "images per optimizer step",
    "sampler.samples_per_class": "images of one class in a batch",
    "backbone.embedding_dim": "dimensions of the embeddings",
    "backbone.pretrained": "whether training starts from ImageNet weights",
    "optimizer.lr": "learning rate",
    "trainer.epochs": "passes over the training images",
    "trainer.iterations": "optimizer steps, in place of the epochs",
    "trainer.precision": "32-true, bf16-mixed or 16-mixed",
    "trainer.devices": "devices that share each batch",
    "trainer.chunk_size": "images in memory at once; smaller chunks need less memory",
    "trainer.evaluate_every_epochs": "epochs between two evaluations",
    "trainer.workers": "processes that load images",
    "evaluation.select_on": "metric that selects the best epoch",
    "tracker.mode": "Weights & Biases: offline, online or disabled",
}
USAGE = """\
usage: python main.py [options] [group=choice ...] [key=value ...]

Trains and evaluates one configuration, and records the run in runs/<dataset>/<group>/seed<k>/.
The same command again resumes an interrupted run and shows the table of a finished one.

examples
  python main.py dataset=omniglot_small loss=triplet      a first run: no download, no GPU, a minute
  python main.py dataset=cub200 loss=triplet batchminer=semihard trainer.epochs=50 seed=1
  python main.py -m dataset=cub200 loss=triplet,margin seed=0,1,2          a sweep of six runs
  python main.py dataset=sop 'metric=[recall,map_at_r]'                    several metrics
  python main.py experiment=roth2020/cub200/margin_b12_distance            a published result
  python main.py --help loss                    every loss in one line
  python main.py --help loss=triplet            what this loss does, its keys and their values
"""
OPTIONS = """\
options
  -h, --help [GROUP | GROUP=CHOICE]   this text, the choices of a group, or one choice
  -m, --multirun                      one run for each combination of comma-separated values
  -c, --cfg job                       print the composed configuration; --resolve fills it in
  -i, --info defaults-tree            print which files the configuration is composed of
  -cd, --config-dir DIR               more choices, from a folder of your own
  -sc, --shell-completion install=bash   print the code that completes groups and keys
  --hydra-help                        all options of Hydra, which composes the configuration

documentation: README.md and docs/
"""


def help_text(words: Sequence[str] = (), config_dir: str | None = None) -> str:
    """The overview, or what is known of the groups and choices among the words.

    Args:
        words: of the command line, such as `loss` or `loss=triplet`.
        config_dir: a folder with more choices.

    Raises:
        ConfigurationError: there is no such group, or no such choice.
    """
    folders = [CONF, *([Path(config_dir)] if config_dir else [])]
    pages = [page for word in words if (page := _page(word, folders))]
    return "\n".join(pages) if pages else _overview(folders)


def _overview(folders: Sequence[Path]) -> str:
    defaults = _default_choices()
    groups = [
        _group_line(group, defaults.get(group, []), list(_choices(group, folders)))
        for group in GROUPS
    ]
    keys = [f"  {key + _default(key, defaults):36} {meaning}" for key, meaning in KEYS.items()]
    lines = [USAGE, "groups, with their number of choices (* is the default)", *groups]
    return "\n".join([*lines, "", "keys, with their defaults", *keys, "", OPTIONS])


def _group_line(group: str, defaults: Sequence[str], choices: Sequence[str]) -> str:
    """A group, its number of choices, its meaning, and as many choices as fit on the line."""
    meaning, popular = GROUPS[group]
    folders = [name.split("/")[0] + "/..." * ("/" in name) for name in choices]
    names = list(dict.fromkeys([*defaults, *popular, *folders]))
    line = f"  {group:11} {len(choices):3}  {meaning}: "
    for number, name in enumerate(names, start=1):
        last = number == len(names)
        word = name + "*" * (name in defaults) + ", " * (not last)
        if len(line) + len(word) > WIDTH - len("...") * (not last):
            return f"{line}..."
        line += word
    return line


def _default_choices() -> dict[str, list[str]]:
    """The choices of every group, as conf/config.yaml lists them."""
    found: dict[str, list[str]] = {}
    for entry in yaml.safe_load((CONF / "config.yaml").read_text())["defaults"]:
        if isinstance(entry, dict):
            for group, choice in entry.items():
                names = choice if isinstance(choice, list) else [choice]
                found[group] = [str(name) for name in names if name is not None]
    return found


def _default(key: str, defaults: dict[str, list[str]]) -> str:
    """`=value` as the YAML of the default choice has it; nothing for what depends on others."""
    group, _, rest = key.partition(".")
    in_group = group in defaults
    file = CONF / (f"{group}/{defaults[group][0]}.yaml" if in_group else "config.yaml")
    value: Any = yaml.safe_load(file.read_text())
    for name in (rest if in_group else key).split("."):
        value = value[name]
    text = value if isinstance(value, str) else json.dumps(value)
    return "" if "${" in text else f"={text}"


def _choices(group: str, folders: Sequence[Path]) -> dict[str, Path]:
    """The files of a group by the names of the choices, in their order."""
    found = {}
    for folder in folders:
        for file in (folder / group).rglob("*.yaml"):
            found[file.relative_to(folder / group).with_suffix("").as_posix()] = file
    return dict(sorted(found.items()))


def _page(word: str, folders: Sequence[Path]) -> str:
    """A group with its choices, or one choice; empty for `key=value`, which is no group."""
    group, equals, name = word.lstrip("+~").partition("=")
    choices = _choices(group, folders)
    if not choices:
        if equals:
            return ""
        known = [str(path.relative_to(CONF)) for path in CONF.rglob("*") if path.is_dir()]
        raise ConfigurationError(f"--help {word}: there is no such group{suggestion(group, known)}")
    if not equals:
        lines = [f"{group}=<choice>, one of {len(choices)}"]
        return "\n".join([*lines, *(_choice_line(*item) for item in choices.items()), ""])
    if name not in choices:
        raise ConfigurationError(
            f"--help {word}: there is no such choice{suggestion(name, choices)}; "
            f"--help {group} lists them"
        )
    text = choices[name].read_text()
    return "\n".join([word, *([doc, ""] if (doc := _docstring(text)) else []), text])


def _choice_line(name: str, file: Path) -> str:
    """A choice and its summary, which begins on a line of its own after a long name."""
    lines = wrap(_summary(file.read_text()), WIDTH - INDENT, max_lines=2, placeholder=" ...")
    long = len(name) > INDENT - 4
    head = [f"  {name}"] if long else [f"  {name:{INDENT - 3}} {lines.pop(0)}"]
    return "\n".join([*head, *(" " * INDENT + line for line in lines)])


def _summary(text: str) -> str:
    """The first line of the docstring, else the comment at the top, else the target."""
    if doc := _docstring(text):
        return doc.partition("\n")[0]
    comment = takewhile(re.compile(r"# \S").match, text.removeprefix(PACKAGE).splitlines())
    return " ".join(line[2:] for line in comment) or _target(text)


def _docstring(text: str) -> str:
    """Of the class or function that a YAML names; empty if it is none of this project."""
    module, _, name = _target(text).rpartition(".")
    file = CONF.parent / f"{module.replace('.', '/')}.py"
    if not file.is_file():
        return ""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
    return ""


def _target(text: str) -> str:
    found = re.search(r"^_target_: *([\w.]+)", text, re.MULTILINE)
    return found[1] if found else "-"
