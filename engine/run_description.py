"""Description of a run: the lines that it prints before it trains."""

from collections.abc import Mapping

from hydra.core.hydra_config import HydraConfig
from lightning_fabric import Fabric
from omegaconf import DictConfig

from datasets.image_path import is_inline
from datasets.images import Images
from engine.config.dataset import dataset_name
from engine.config.settings import ImageSource
from engine.schedule import TrainingSchedule, format_epoch
from tracking.environment import device_name
from tracking.run_folder import RunFolder


def describe_run(
    config: DictConfig,
    folder: RunFolder,
    fabric: Fabric,
    train: Images,
    splits: Mapping[str, Images],
    schedule: TrainingSchedule,
    source: ImageSource,
) -> list[str]:
    """One line each for data, images, device, components, length, selection and folder.

    Args:
        train: the training images.
        splits: the images of the splits that are evaluated.
        source: the image source of the run.
    """
    dataset = dataset_name(config.dataset, choice(config, "dataset"))
    sizes = {"train": size(train)}
    sizes |= {name: size(images) + roles(images) for name, images in splits.items()}
    lines = {
        "dataset": f"{dataset}: " + "; ".join(f"{name} {text}" for name, text in sizes.items()),
        "images": images_from(config, train, source),
        "device": f"{device_name(fabric.device)}, {processes(fabric)}, {config.trainer.precision}",
        "backbone": choice(config, "backbone") + dimensions(config),
        "loss": choice(config, "loss"),
        "miner": choice(config, "batchminer"),
        "sampler": f"{choice(config, 'sampler')}, {batches(config, schedule)}",
        "method": choice(config, "method"),
        "length": length(schedule),
        "folder": str(folder.path),
    }
    return [f"{name:10}{text}" for name, text in lines.items()]


def choice(config: DictConfig, group: str) -> str:
    """The choice of a group on the command line; without one, the class or function itself."""
    if HydraConfig.initialized():
        return str(HydraConfig.get().runtime.choices.get(group) or "none")
    target = (config.get(group) or {}).get("_target_", "none")
    return str(target).rpartition(".")[2]


def size(images: Images) -> str:
    """The classes and images of a split."""
    classes = count(len(images.class_names), "class", "classes")
    return f"{classes}, {count(len(images), 'image', 'images')}"


def roles(images: Images) -> str:
    """The queries and the gallery of a split, where these are not all of its images."""
    queries, gallery = int(images.is_query.sum()), int(images.is_gallery.sum())
    all_images = min(queries, gallery) == len(images)
    return "" if all_images else f" ({queries:,} queries, {gallery:,} gallery)"


def images_from(config: DictConfig, train: Images, source: ImageSource) -> str:
    """Where the images are read from: memory, files, a cache, or the features of a frozen network.

    All images of a dataset are either files or data URIs, which are in memory.
    """
    if config.trainer.features == "frozen":
        return f"features of the frozen backbone, computed once and stored in {config.paths.cache}"
    if source == "cache":
        return f"cache of decoded images in {config.paths.cache}"
    place = "memory" if is_inline(train.paths[0]) else "files"
    return f"{place}, decoded on the device" if source == "device" else place


def processes(fabric: Fabric) -> str:
    """The number of processes that train, one per device."""
    return count(fabric.world_size, "process", "processes")


def dimensions(config: DictConfig) -> str:
    """The size of an embedding, where the backbone states one."""
    embedding_dim = config.backbone.get("embedding_dim")
    return f", {embedding_dim} dimensions" if embedding_dim else ""


def batches(config: DictConfig, schedule: TrainingSchedule) -> str:
    """The size of a batch, where the sampler states one, and the batches of an epoch."""
    batch_size = config.sampler.get("batch_size")
    images = f"{batch_size} images a batch, " if batch_size else ""
    return f"{images}{count(schedule.steps_per_epoch, 'batch', 'batches')} an epoch"


def length(schedule: TrainingSchedule) -> str:
    """The epochs, steps and evaluations of the whole run."""
    if schedule.total_steps == 0:
        return "0 steps: an evaluation of the network before training"
    epochs = format_epoch(schedule.epoch(schedule.total_steps))
    epochs += " epoch" if epochs == "1" else " epochs"
    steps = count(schedule.total_steps, "step", "steps")
    return f"{epochs}, {steps}, {count(schedule.evaluations, 'evaluation', 'evaluations')}"


def count(number: int, singular: str, plural: str) -> str:
    """A number with the noun of what is counted."""
    return f"{number:,} {singular if number == 1 else plural}"
