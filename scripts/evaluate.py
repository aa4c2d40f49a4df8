"""Evaluate a finished run and draw its neighbours:  python -m scripts.evaluate run=<run folder>.

    run=<run folder or checkpoint> [split=val] [dataset=...] [metric=[...]] [any other key=value]
    [trust=[mypackage]]     allows objects of your own package that config.yaml of the run names

`--config-dir=<folder>` in front adds a folder of configuration files, as in main.py.

Writes metrics.json, one row per query, pictures and the hardest classes into
<run>/evaluation/<name>/ and prints the path of metrics.json at the end. conf/evaluate.yaml lists
the keys of this command, all others are those of the run; docs/evaluation.md explains the files.
"""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as Grid
from torch import nn

from core.files import write_text_atomically
from core.ranges import PositiveInt
from datasets.images import Images
from datasets.table import DatasetError, Table
from engine.build import build_fabric, check_size, load_table, splits_of
from engine.config.check import check
from engine.config.compose import composing
from engine.config.dataset import data_root, dataset_name
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.names import Text, check_name
from engine.config.run_name import CONF
from engine.config.values import check_arguments, resolved_content
from engine.data.identity import comparable_table, read_recorded_table, table_difference
from engine.data.loader import evaluation_loader, worker_count
from engine.inspection import InspectionData, write_inspection_report
from engine.measure import measure_parts
from engine.progress import progress_bar, spinner
from engine.trained_run import (
    NEEDED_GROUPS,
    TrainedRun,
    evaluation_config,
    find_run,
    load_config,
    load_model,
    load_weights,
)
from evaluation.categories import category_names
from evaluation.embed import Embedded, embed
from evaluation.evaluator import Evaluator
from evaluation.per_query import PerQuery, save
from evaluation.results import Results
from evaluation.samples import Samples
from tracking.console import format_value
from tracking.metrics_log import finite
from tracking.run_folder import RunFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Own:
    """conf/evaluate.yaml, without `pictures`, the arguments of `write_inspection_report`."""

    run: Text
    split: Literal["train", "val", "test"]
    name: Text | int | float | None
    neighbors: PositiveInt
    trust: Text | Sequence[Text]
    draw: bool


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        raise SystemExit(__doc__)
    with user_errors_as_one_line(), composing(arguments) as options:
        evaluate(options.overrides)


def evaluate(arguments: Sequence[str]) -> None:
    trained, config = read(arguments)
    check_all(config)
    name = str(config.name or f"{dataset_of(config)}_{config.split}_{trained.checkpoint.stem}")
    check_name("name", name)
    folder = trained.folder / "evaluation" / name
    learned = load_weights(trained.checkpoint)
    images = images_of(config, None if other_data(arguments) else trained.folder)
    evaluation: Evaluator = instantiate(config.evaluation.measure)
    evaluation.check_categories(images.categories, len(images))
    model, parts = load_model(config, learned)
    check_size(model, images[0][0])
    embedded = embed_images(config, model, images)

    with spinner("measuring"):
        results, queries = evaluation.with_queries(
            *embedded, *images.roles, images.categories, k=config.neighbors
        )
        results |= measure_parts(evaluation, embedded, images, parts)
    names = class_names(evaluation, images)
    queries.insert(2, "class", [names[label] for label in queries["label"]])

    folder.mkdir(parents=True, exist_ok=True)
    numbers = {f"{config.split}/{metric}": value for metric, value in results.items()}
    content = {
        "dataset": dataset_of(config),
        "split": config.split,
        "checkpoint": trained.checkpoint.name,
        "step": learned.step,
        "overrides": [argument for argument in arguments if not argument.startswith("run=")],
        "metrics": finite(numbers),
    }
    metrics = folder / "metrics.json"
    write_text_atomically(metrics, json.dumps(content, indent=2, allow_nan=False) + "\n")
    save(queries, folder / "queries.parquet")
    pictures = {}
    if config.draw:
        data = inspection_data(evaluation, images, embedded, queries)
        pictures = write_inspection_report(data, folder, **config.pictures)
    mirror(config, trained.folder, name, learned.step, numbers, pictures)
    report(numbers)
    print(metrics)


def check_all(config: DictConfig) -> None:
    """The values of the run, and those of conf/evaluate.yaml.

    Raises:
        ConfigurationError: see `engine.config.values.check_values`.
    """
    own = OmegaConf.load(CONF / "evaluate.yaml")
    check(OmegaConf.masked_copy(config, [str(key) for key in config if key not in own]), [])
    content = resolved_content(OmegaConf.masked_copy(config, [str(key) for key in own]))
    check_arguments("pictures", write_inspection_report, content.pop("pictures"))
    check_arguments("", Own, content)


def read(
    arguments: Sequence[str], recorded_data: bool = False, own: str = "evaluate"
) -> tuple[TrainedRun, DictConfig]:
    """The run that `run=` names, and its configuration with all other arguments applied.

    Args:
        recorded_data: see `engine.trained_run.evaluation_config`.
        own: the file of conf/ with the keys of the command.
    """
    paths = [argument.partition("=")[2] for argument in arguments if argument.startswith("run=")]
    if len(paths) != 1:
        raise ConfigurationError("name one run: run=<run folder or checkpoint>")
    trained = find_run(Path(paths[0]))
    keys = OmegaConf.load(CONF / f"{own}.yaml")
    keys.run = paths[0]
    others = [argument for argument in arguments if not argument.startswith("run=")]
    saved = OmegaConf.merge(load_config(trained.folder, trusted(others), NEEDED_GROUPS), keys)
    assert isinstance(saved, DictConfig)
    return trained, evaluation_config(saved, others, recorded_data)


def trusted(arguments: Sequence[str]) -> list[str]:
    """The packages of `trust=[...]`."""
    found: list[str] = []
    for override in OverridesParser.create().parse_overrides(list(arguments)):
        if override.key_or_group == "trust":
            value = override.value()
            found = [str(name) for name in (value if isinstance(value, list) else [value])]
    return found


def other_data(arguments: Sequence[str]) -> bool:
    """Whether the user asks for other data than those of the run."""
    keys = [argument.lstrip("+").partition("=")[0].split(".")[0] for argument in arguments]
    return "dataset" in keys or "validation" in keys


def images_of(config: DictConfig, run: Path | None = None) -> Images:
    """The split to evaluate; setting training images aside does not concern a test split.

    Args:
        config: of the evaluation.
        run: warn if the split is not what it was in this run.
    """
    if config.split == "test":
        table = instantiate(config.dataset, _convert_="all")
    else:
        table = load_table(config)
    splits = splits_of(table, [config.split], instantiate(config.transform).eval)
    if config.split not in splits:
        there = ", ".join(sorted(table["split"].unique()))
        raise DatasetError(f"{dataset_of(config)} has no split {config.split}; it has {there}")
    if run is not None and (changed := change_since(run, config, table)) is not None:
        log.warning("the data are not those of %s: %s", run, changed)
    return splits[config.split]


def change_since(run: Path, config: DictConfig, table: Table) -> str | None:
    """What differs in the split that is evaluated from what it was in the run."""
    folder = RunFolder(run, data_root(config))
    before = read_recorded_table(folder)
    if before is None:
        return None
    now = comparable_table(table[table["split"] == config.split], folder.data_root)
    return table_difference(before[before["split"] == config.split].reset_index(drop=True), now)


def dataset_of(config: DictConfig) -> str:
    return dataset_name(config.dataset, str(config.dataset._target_).rpartition(".")[2])


def embed_images(config: DictConfig, model: nn.Module, images: Images) -> Embedded:
    fabric = build_fabric(config.trainer)
    loader = evaluation_loader(
        images,
        config.evaluation.batch_size,
        worker_count(config.trainer.workers),
        fabric.device,
    )
    model.to(memory_format=torch.channels_last)  # as it was trained
    return embed(
        fabric.setup_module(model), progress_bar(loader, len(loader), "embedding"), fabric.device
    )


def class_names(evaluation: Evaluator, images: Images) -> list[str]:
    """The names of the labels that are evaluated: classes, or categories."""
    return images.class_names if evaluation.level == "label" else category_names(images.categories)


def inspection_data(
    evaluation: Evaluator, images: Images, embedded: Embedded, queries: PerQuery
) -> InspectionData:
    """What the pictures show: embeddings and labels as they were evaluated."""
    samples = evaluation.prepare(Samples(*embedded, *images.roles, images.categories))
    return InspectionData(
        images,
        Embedded(samples.embeddings, samples.labels),
        evaluation.config.distance,
        queries,
        class_names(evaluation, images),
        within_category=evaluation.within == "category",
    )


def mirror(
    config: DictConfig,
    run: Path,
    name: str,
    step: int,
    numbers: Results,
    pictures: dict[str, Path],
) -> None:
    """Show it at W&B too, on a page of its own in the group of the run, if the tracker is on."""
    content = OmegaConf.to_container(config, resolve=True)
    with instantiate(config.tracker)(folder=run, config=content, name=name) as tracker:
        tracker.log(step, numbers)
        tracker.log_images(step, pictures)


def report(numbers: Results) -> None:
    grid = Grid("metric", "value", box=None, header_style="bold")
    grid.columns[1].justify = "right"
    for name, value in numbers.items():
        if not isinstance(value, list):
            grid.add_row(name, format_value(numbers, name))
    Console().print(grid)


if __name__ == "__main__":
    main(sys.argv[1:])
