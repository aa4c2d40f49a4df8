"""The text of `python main.py --help`.

It is read from the files of conf/ and from docstrings. Nothing is composed or imported, so that the
help is there at once.
"""

import json
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import yaml

from engine.config.choice_page import WIDTH, page, shortened
from engine.config.choices import choices, folders, groups
from engine.config.run_name import CONF

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
OTHER_GROUPS = {  # of sweeps and other commands
    "download": "where scripts.prepare_data downloads a dataset from",
    "hydra/launcher": "where the runs of a sweep run",
    "hydra/sweeper": "which runs a sweep has",
    "search": "ranges of the search for hyperparameters",
}
KEYS = {  # the keys that are used most
    "seed": "random seed of the weights, the batches and the augmentation",
    "force": "true starts a finished or interrupted run afresh",
    "group": "name of the run folder before its hash; null: the choices",
    "paths.data": "parent folder of the datasets; else the variable DML_DATA",
    "paths.runs": "parent folder of the runs",
    "sampler.batch_size": "images per optimizer step",
    "sampler.samples_per_class": "images of one class in a batch",
    "init_from": "run folder or checkpoint whose weights training begins with",
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
    "trainer.progress": "auto, lines, bar or none: what is shown while a run trains",
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
INDENT = "    "
MORE = """\
python -m scripts.show GROUP lists the choices of a group with what each is,
python -m scripts.show GROUP=CHOICE shows one: formula, numbers, source
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

The same pages, and the code: python -m scripts.show [GROUP | GROUP=CHOICE] [--code]
documentation: README.md and docs/
"""


def help_text(words: Sequence[str] = (), config_dir: str | None = None) -> str:
    """The overview, or the pages of the groups and choices among the words.

    Args:
        words: of the command line, such as `loss` or `loss=triplet`.
        config_dir: a folder with more choices.

    Raises:
        ConfigurationError: there is no such group, or no such choice.
    """
    known = groups(folders(config_dir))
    asked = [word for word in words if "=" not in word or word.lstrip("+~").split("=")[0] in known]
    return "\n".join(page(word, config_dir) for word in asked) or _overview(config_dir)


def every_group(config_dir: str | None = None) -> str:
    """Every group with what it is and the names of its choices."""
    searched, meanings = folders(config_dir), dict(OTHER_GROUPS)
    meanings |= {group: meaning for group, (meaning, _) in GROUPS.items()}
    lines = []
    for group in [*GROUPS, *(group for group in groups(searched) if group not in GROUPS)]:
        lines += [f"{group}: {meanings.get(group, 'a group of your own')}"]
        names = ", ".join(shortened(list(choices(group, searched))))
        lines += wrap(names, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join([*lines, "", MORE])


def _overview(config_dir: str | None) -> str:
    defaults, searched = _default_choices(), folders(config_dir)
    lines_of_groups = [
        _group_line(group, defaults.get(group, []), list(choices(group, searched)))
        for group in GROUPS
    ]
    keys = [f"  {key + _default(key, defaults):36} {meaning}" for key, meaning in KEYS.items()]
    lines = [USAGE, "groups, with their number of choices (* is the default)", *lines_of_groups]
    return "\n".join([*lines, "", "keys, with their defaults", *keys, "", OPTIONS])


def _group_line(group: str, defaults: Sequence[str], names: Sequence[str]) -> str:
    """A group, its number of choices, its meaning, and as many choices as fit on the line."""
    meaning, popular = GROUPS[group]
    shown = list(dict.fromkeys([*defaults, *popular, *shortened(names)]))
    line = f"  {group:11} {len(names):3}  {meaning}: "
    for number, name in enumerate(shown, start=1):
        last = number == len(shown)
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
