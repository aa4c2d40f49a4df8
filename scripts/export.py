"""Export the network of a run:  python -m scripts.export run=<run folder> format=onnx.

    run=<run folder or checkpoint> [format=onnx|pt2|safetensors] [out=<folder>] [quantize=int8]
    [check=random]          compares on random images, where the dataset is not on this machine
    [trust=[mypackage]]     allows objects of your own package that config.yaml of the run names
    [any other key=value]   changes the run, such as paths.data=<folder> or metric=[recall]

Writes the file, preprocessing.json, parity.json, config.yaml and a model card into <out>, which is
<run>/export/<format> by default, and prints the path of the file at the end. The file is loaded
again and embeds the test split; it is kept only if its embeddings are those of the run.
conf/export.yaml lists the keys of this command; docs/export.md explains the files.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as Grid

from core.console import relative_to_cwd
from datasets.table import DatasetError
from engine.config.compose import composing
from engine.config.dataset import dataset_of
from engine.config.error_line import explain, user_errors_as_one_line
from engine.config.run_name import CONF
from engine.config.values import check_arguments
from engine.evaluated_split import evaluated_split
from engine.export.export import Compare, Export, ExportSettings
from engine.export.parity import Parity, compare_on_random, compare_on_split
from engine.load import TrainedEmbedder
from engine.run_arguments import own_content, run_and_config
from engine.trained_run import load_model, load_weights
from tracking.console import format_value

OWN = "export"


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(__doc__, end="")
        return
    with user_errors_as_one_line(), composing(arguments) as options:
        export(options.overrides)


def export(arguments: Sequence[str]) -> None:
    trained, config = run_and_config(arguments, own=OWN)
    settings = checked(config)
    learned = load_weights(trained.checkpoint)
    config.trainer.accelerator, config.trainer.precision = "cpu", "32-true"  # as the file computes
    embedder = TrainedEmbedder(trained, config, load_model(config, learned).embedder)
    result = Export(embedder, learned.step, settings.format, settings.quantize == "int8")
    folder = Path(settings.out or trained.folder / "export" / result.kind).expanduser()
    parity = result.write(folder, comparison(settings, config, embedder))
    report(parity)
    print(relative_to_cwd(folder / result.name))


def checked(config: DictConfig) -> ExportSettings:
    """The keys of conf/export.yaml, after those of the run have been checked, too.

    Raises:
        ConfigurationError: see `engine.config.values.check_values`.
    """
    content = own_content(config, map(str, OmegaConf.load(CONF / f"{OWN}.yaml")))
    check_arguments("", ExportSettings, content)
    return ExportSettings(**content)


def comparison(settings: ExportSettings, config: DictConfig, embedder: TrainedEmbedder) -> Compare:
    """What compares a file with the run: on random images, or on a split that is read now.

    Raises:
        DatasetError: the images are not on this machine.
    """
    if settings.check == "random":
        return partial(compare_on_random, embedder)
    try:
        images = evaluated_split(config, embedder.run.folder)
    except (DatasetError, HydraException) as error:
        raise DatasetError(
            f"{explain(error)} The file is compared with the run on the {settings.split} images of "
            f"{dataset_of(config)}; check=random compares on random images only"
        ) from error
    measure = instantiate(config.evaluation.measure)
    measure.check_categories(images.categories, len(images))
    return partial(compare_on_split, embedder, settings.split, images, measure)


def report(parity: Parity) -> None:
    """Print the metrics of the run and of the file, and the largest difference."""
    grid = Grid("metric", "run", "file", box=None, header_style="bold")
    for column in grid.columns[1:]:
        column.justify = "right"
    for name, value in parity.run.items():
        if not isinstance(value, list):
            grid.add_row(name, format_value(parity.run, name), format_value(parity.exported, name))
    if parity.run:
        Console().print(grid)
    print(f"largest difference of a component: {parity.sentence}")


if __name__ == "__main__":
    main(sys.argv[1:])
