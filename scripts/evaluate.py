"""Evaluate a trained run again, and look at it:  python -m scripts.evaluate run=<run folder>.

    run=<run folder or checkpoint> [split=val] [dataset=...] [metric=[...]] [any other key=value]

Writes metrics.json, one row per query, pictures and the hardest classes into
<run>/evaluation/<name>/ and ends with the path of metrics.json. conf/evaluate.yaml has the keys
of its own, all others are those of the run; docs/evaluation.md explains the files.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as Grid
from torch import nn

from core.files import write_text_atomically
from datasets.images import Images
from datasets.table import DatasetError
from engine.build import fabric_of, splits_of, table_of
from engine.configuration import CONF, ConfigurationError, check
from engine.loader import evaluation_loader, worker_count
from engine.look import Looked, look
from engine.one_line import explained
from engine.progress import busy, watched
from engine.trained import Trained, backbone, configuration, find, weights
from evaluation.embed import Embedded, embed
from evaluation.evaluate import Evaluation, Results
from evaluation.per_query import save
from tracking.records import finite
from tracking.report import cell


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        raise SystemExit(__doc__)
    with explained():
        evaluate(arguments)


def evaluate(arguments: Sequence[str]) -> None:
    trained, config = read(arguments)
    check(config, [])
    learned = weights(trained.checkpoint)
    images = images_of(config)
    embedded = embed_images(config, backbone(config, learned), images)

    evaluation: Evaluation = instantiate(config.evaluation.measure)
    with busy("measuring"):
        results, queries = evaluation.with_queries(
            *embedded, *images.roles, images.categories, k=config.neighbors
        )
    queries.insert(2, "class", [images.class_names[label] for label in queries["label"]])

    name = config.name or f"{dataset_of(config)}_{config.split}_{trained.checkpoint.stem}"
    folder = trained.folder / "evaluation" / name
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
        looked = Looked(images, embedded, evaluation.method.distance, queries)
        pictures = look(looked, folder, **config.pictures)
    mirror(config, trained.folder, name, learned.step, numbers, pictures)
    report(numbers)
    print(metrics)


def read(arguments: Sequence[str]) -> tuple[Trained, DictConfig]:
    """The run that `run=` names, and its configuration with all other arguments applied."""
    paths = [argument.partition("=")[2] for argument in arguments if argument.startswith("run=")]
    if len(paths) != 1:
        raise ConfigurationError("name one run: run=<run folder or checkpoint>")
    trained = find(Path(paths[0]))
    own = OmegaConf.load(CONF / "evaluate.yaml")
    saved = OmegaConf.merge(OmegaConf.load(trained.folder / "config.yaml"), own)
    assert isinstance(saved, DictConfig)
    others = [argument for argument in arguments if not argument.startswith("run=")]
    return trained, configuration(saved, others)


def images_of(config: DictConfig) -> Images:
    """The split to evaluate; setting training images aside does not concern a test split."""
    if config.split == "test":
        table = instantiate(config.dataset, _convert_="all")
    else:
        table = table_of(config)
    splits = splits_of(table, [config.split], instantiate(config.transform).eval)
    if config.split not in splits:
        there = ", ".join(sorted(table["split"].unique()))
        raise DatasetError(f"{dataset_of(config)} has no split {config.split}; it has {there}")
    return splits[config.split]


def dataset_of(config: DictConfig) -> str:
    return str(config.dataset._target_).rpartition(".")[2]


def embed_images(config: DictConfig, model: nn.Module, images: Images) -> Embedded:
    fabric = fabric_of(config.trainer)
    loader = evaluation_loader(
        images,
        config.evaluation.batch_size,
        worker_count(config.trainer.workers),
        fabric.device,
    )
    model.to(memory_format=torch.channels_last)  # as it was trained
    return embed(
        fabric.setup_module(model), watched(loader, len(loader), "embedding"), fabric.device
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
    with instantiate(config.tracker)(folder=run, config=content, page=name) as page:
        page.log(step, numbers)
        page.show(step, pictures)


def report(numbers: Results) -> None:
    grid = Grid("metric", "value", box=None, header_style="bold")
    grid.columns[1].justify = "right"
    for name, value in numbers.items():
        if not isinstance(value, list):
            grid.add_row(name, cell(numbers, name))
    Console().print(grid)


if __name__ == "__main__":
    main(sys.argv[1:])
