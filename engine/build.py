"""Builders of the parts of a run that training and evaluation share, from its configuration."""

from collections.abc import Sequence

import torch
from hydra.utils import instantiate
from lightning_fabric import Fabric
from omegaconf import DictConfig
from torch import Tensor, nn

from architectures.embedder import Embedder
from core.types import BatchSampler
from datasets.images import Images
from datasets.table import DatasetError, Table
from datasets.transforms import Transform
from engine.config.errors import ConfigurationError
from engine.contracts import check_embeddings, check_sampler, check_table
from engine.sampler_inputs import sampler_inputs
from methods.method import Method
from methods.plain import Plain


def build_fabric(trainer: DictConfig) -> Fabric:
    """Build the Fabric of a run: devices, strategy and precision.

    Raises:
        ConfigurationError: this machine has no such accelerator, or fewer devices of it.
    """
    try:
        return Fabric(
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            num_nodes=trainer.num_nodes,
            strategy=trainer.strategy,
            precision=trainer.precision,
        )
    except (RuntimeError, ImportError, ValueError) as error:
        raise ConfigurationError(
            f"trainer.accelerator={trainer.accelerator} trainer.devices={trainer.devices} "
            f"trainer.strategy={trainer.strategy}: {error}"
        ) from error


def shutdown(fabric: Fabric) -> None:
    """End the process group; torch may abort a process that exits while others communicate."""
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()


def load_table(config: DictConfig) -> Table:
    """The table of all images of a dataset; the images for validation are the split `val`."""
    read = instantiate(config.dataset, _convert_="all")
    check_table(read, str(config.dataset._target_))
    table: Table = instantiate(config.validation)(read)
    return table


def sampler_of(config: DictConfig, train: Images) -> BatchSampler:
    """Build and check the sampler of a run, which draws batches of training images.

    Raises:
        DatasetError: the sampler needs categories, and the training images have none.
    """
    factory = instantiate(config.sampler)
    sampler: BatchSampler = factory(**sampler_inputs(factory, train))
    check_sampler(sampler, len(train))
    return sampler


def build_images(config: DictConfig, table: Table) -> tuple[Images, dict[str, Images]]:
    """The training images of a run, and the images of the splits that it evaluates.

    Raises:
        DatasetError: there are no training images or no test images.
    """
    transform = instantiate(config.transform)
    if missing := [split for split in ("train", "test") if not (table.split == split).any()]:
        dataset = config.dataset.get("path") or config.dataset._target_
        raise DatasetError(
            f"{dataset} has no images of split {' and '.join(missing)}; a run trains on train and "
            "is evaluated on test"
        )
    train = Images(table[table.split == "train"], transform.train)
    names = ["train", "val", "test"] if config.evaluation.train_metrics else ["val", "test"]
    return train, splits_of(table, names, transform.eval)


def build_backbone(config: DictConfig, train: Images) -> nn.Module:
    """Build the backbone of a run and check it with one training image.

    With `init_from` its weights are random, as those of another run replace them.

    Raises:
        ConfigurationError: the backbone does not accept images of this size.
        ComponentError: it does not return embeddings of the configured size.
    """
    model = backbone_of(config, pretrained=not config.get("init_from"))
    embeddings = check_size(model, train[0, 0][0])
    check_embeddings(config.backbone, embeddings)
    return model


def backbone_of(config: DictConfig, pretrained: bool = True) -> nn.Module:
    """The backbone of a configuration.

    Args:
        pretrained: False gives it random weights and downloads nothing, whatever it says itself.
    """
    settings = config.backbone.copy()
    if not pretrained and "pretrained" in settings:
        settings.pretrained = False
    model: nn.Module = instantiate(settings)
    return model


def build_method(
    config: DictConfig, backbone: nn.Module, criterion: nn.Module | None = None
) -> Method:
    """Build the training method of a run; configurations of earlier versions have none.

    Args:
        backbone: the network before training.
        criterion: the loss of the run; None for inference.
    """
    if "method" not in config:
        return Plain(backbone, criterion)
    method: Method = instantiate(config.method)(backbone=backbone, criterion=criterion)
    return method


def check_method(
    config: DictConfig,
    method: Method,
    backbone: nn.Module,
    sampler: BatchSampler,
    criterion: nn.Module,
) -> None:
    """Check that backbone, sampler and loss suit the training method.

    Raises:
        ConfigurationError: they do not; says which would.
    """
    name, used = f"method {config.method._target_}", " and ".join(method.details)
    if method.details and not isinstance(backbone, Embedder):
        raise ConfigurationError(
            f"{name}: uses {used} of architectures.embedder.Embedder, which the backbone "
            f"{config.backbone._target_} is not"
        )
    if method.details and config.trainer.chunk_size is not None:
        raise ConfigurationError(
            f"{name}: uses {used}, and trainer.chunk_size caches embeddings only; choose "
            "trainer.chunk_size=null"
        )
    try:
        method.check(sampler, criterion)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error


@torch.no_grad()
def check_size(model: nn.Module, image: Tensor) -> object:
    """Embed one image in evaluation mode, leaving the backbone unchanged; returns the embedding."""
    training = model.training
    try:
        with torch.random.fork_rng(devices=[]):
            return model.eval()(image[None])
    except (AssertionError, RuntimeError, ValueError) as error:
        size = "x".join(map(str, image.shape[1:]))
        raise ConfigurationError(
            f"backbone: cannot embed images of {size} pixels, which transform makes: {error}"
        ) from error
    finally:
        model.train(training)


def splits_of(table: Table, names: Sequence[str], transform: Transform) -> dict[str, Images]:
    """The images of each named split that is not empty."""
    rows = {name: table[table.split == name] for name in names}
    return {name: Images(part, transform) for name, part in rows.items() if len(part)}
