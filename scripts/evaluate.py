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

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as Grid

from core.console import relative_to_cwd
from core.files import explain_write_errors
from engine.build import build_fabric
from engine.config.compose import composing
from engine.config.dataset import dataset_of
from engine.config.error_line import user_errors_as_one_line
from engine.config.names import check_name
from engine.config.run_name import CONF
from engine.config.trackers import build_trackers
from engine.embeddings.embedded_images import EmbeddedImages
from engine.embeddings.embedding_config import embedding_config
from engine.embeddings.given_embeddings import given_embeddings
from engine.embeddings.origin import origin_of
from engine.evaluated_split import evaluated_split
from engine.evaluation_files import write_evaluation
from engine.evaluation_options import RunOptions, check_options
from engine.load import TrainedEmbedder
from engine.measure import measure_parts
from engine.progress import spinner
from engine.run_arguments import run_and_config
from engine.trained_run import (
    load_model,
    load_weights,
)
from evaluation.embed import Embedded
from evaluation.evaluator import Evaluator
from evaluation.results import Results
from tracking.console import format_value


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
    trained, config = run_and_config(arguments)
    check_options(config, RunOptions, map(str, OmegaConf.load(CONF / "evaluate.yaml")))
    name = str(config.name or f"{dataset_of(config)}_{config.split}_{trained.checkpoint.stem}")
    check_name("name", name)
    folder = trained.folder / "evaluation" / name
    learned = load_weights(trained.checkpoint)
    images = evaluated_split(config, None if other_data(arguments) else trained.folder)
    evaluation: Evaluator = instantiate(config.evaluation.measure)
    evaluation.check_categories(images.categories, len(images))
    model, parts = load_model(config, learned)
    embedded = TrainedEmbedder(trained, config, model).embed_images(images)
    data = EmbeddedImages(images, embedded, origin=origin_of(trained))

    with spinner("measuring"):
        results, queries = evaluation.with_queries(*data.samples, k=config.neighbors)
        results |= measure_parts(evaluation, embedded, images, parts)
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
    print(relative_to_cwd(folder / "metrics.json"))


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
    print(relative_to_cwd(folder / "metrics.json"))


def other_data(arguments: Sequence[str]) -> bool:
    """Whether the user asks for other data than those of the run."""
    keys = [argument.lstrip("+").partition("=")[0].split(".")[0] for argument in arguments]
    return "dataset" in keys or "validation" in keys


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
