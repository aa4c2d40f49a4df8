"""Evaluate a finished run, or embeddings of any origin, and draw the neighbours.

python -m scripts.evaluate run=<run folder or checkpoint> [split=val] [dataset=...] [key=value ...]
    [trust=[mypackage]]     allows objects of your own package that config.yaml of the run names

python -m scripts.evaluate embeddings=<.npy, .npz or .parquet> [labels=<file or column>]
    [is_query=...] [is_gallery=...] [category=...] [ignore_group=...] [path=...] [out=<folder>]

Both take metric=[...], evaluation=pca, evaluation.measure.<key>=..., and

    write.embeddings=true   writes embeddings.parquet: path, label, roles and embedding
    write.neighbors=true    writes neighbors.parquet: paths and similarities of the neighbours

`--config-dir=<folder>` in front adds a folder of configuration files, as in main.py.

Writes metrics.json, one row per query, pictures and the hardest classes into
<run>/evaluation/<name>/, or evaluation/<name>/ beside the embeddings, and prints the path of
metrics.json at the end. conf/evaluate.yaml and conf/evaluate_embeddings.yaml list the keys of this
command, all others are those of the run; docs/evaluation.md explains the files.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as Grid
from torch import nn

from core.files import explain_write_errors
from datasets.images import Images
from datasets.table import DatasetError, Table
from engine.build import build_fabric, check_size, load_table, splits_of
from engine.config.compose import composing
from engine.config.dataset import data_root, dataset_name
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.names import check_name
from engine.config.run_name import CONF
from engine.config.trackers import build_trackers
from engine.data.identity import comparable_table, read_recorded_table, table_difference
from engine.data.loader import evaluation_loader, worker_count
from engine.embedded_images import EmbeddedImages
from engine.embedding_config import embedding_config
from engine.evaluation_files import write_evaluation
from engine.evaluation_options import RunOptions, check_options
from engine.given_embeddings import given_embeddings
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
from evaluation.embed import Embedded, embed
from evaluation.evaluator import Evaluator
from evaluation.results import Results
from tracking.console import format_value
from tracking.run_folder import RunFolder

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__, end="")
        return
    with user_errors_as_one_line(), composing(arguments) as options:
        if any(argument.startswith("embeddings=") for argument in options.overrides):
            evaluate_embeddings(options.overrides)
        else:
            evaluate(options.overrides)


def evaluate(arguments: Sequence[str]) -> None:
    """Evaluate a run."""
    trained, config = read(arguments)
    check_options(config, RunOptions, map(str, OmegaConf.load(CONF / "evaluate.yaml")))
    name = str(config.name or f"{dataset_of(config)}_{config.split}_{trained.checkpoint.stem}")
    check_name("name", name)
    folder = trained.folder / "evaluation" / name
    learned = load_weights(trained.checkpoint)
    images = images_of(config, None if other_data(arguments) else trained.folder)
    evaluation: Evaluator = instantiate(config.evaluation.measure)
    evaluation.check_categories(images.categories, len(images))
    model, parts = load_model(config, learned)
    check_size(model, images[0][0])
    data = EmbeddedImages(images, embed_images(config, model, images))

    with spinner("measuring"):
        results, queries = evaluation.with_queries(*data.samples, k=config.neighbors)
        results |= measure_parts(evaluation, data.embedded, images, parts)
    numbers = {f"{config.split}/{metric}": value for metric, value in results.items()}
    about = {
        "dataset": dataset_of(config),
        "split": config.split,
        "checkpoint": trained.checkpoint.name,
        "step": learned.step,
        "overrides": [argument for argument in arguments if not argument.startswith("run=")],
    }
    pictures = write_evaluation(folder, evaluation, data, queries, numbers, about, config)
    mirror(config, trained.folder, name, learned.step, numbers, pictures)
    report(numbers)
    print(folder / "metrics.json")


def evaluate_embeddings(arguments: Sequence[str]) -> None:
    """Evaluate embeddings from a file."""
    sources, folder, config = embedding_config(arguments)
    data = given_embeddings(sources)
    evaluation: Evaluator = instantiate(config.evaluation.measure)
    evaluation.check_categories(data.images.categories, len(data.images))
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    device = build_fabric(config.trainer).device
    embedded = Embedded(*(values.to(device) for values in data.embedded))
    data = data._replace(embedded=embedded)
    with spinner("measuring"):
        results, queries = evaluation.with_queries(*data.samples, k=config.neighbors)
    about = {
        "embeddings": sources.embeddings,
        "shape": list(embedded.embeddings.shape),
        "overrides": [line for line in arguments if not line.startswith("embeddings=")],
    }
    write_evaluation(folder, evaluation, data, queries, results, about, config)
    report(results)
    print(folder / "metrics.json")


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


def mirror(
    config: DictConfig,
    run: Path,
    name: str,
    step: int,
    numbers: Results,
    pictures: dict[str, Path],
) -> None:
    """Show it in the trackers of the run too, as a run of its own in the group of the run."""
    with build_trackers(config, run, name) as trackers:
        trackers.log(step, numbers)
        trackers.log_images(step, pictures)


def report(numbers: Results) -> None:
    grid = Grid("metric", "value", box=None, header_style="bold")
    grid.columns[1].justify = "right"
    for name, value in numbers.items():
        if not isinstance(value, list):
            grid.add_row(name, format_value(numbers, name))
    Console().print(grid)


if __name__ == "__main__":
    main(sys.argv[1:])
