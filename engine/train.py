"""Training of one configuration: builds all parts of a run and trains it to its end."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from hydra.utils import instantiate
from lightning_fabric import Fabric, seed_everything
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from core.files import write_text_atomically
from core.types import BatchSampler
from datasets.images import Images
from datasets.table import Table
from engine.build import (
    build_backbone,
    build_fabric,
    build_images,
    build_method,
    check_method,
    load_table,
    sampler_of,
    shutdown,
    splits_of,
)
from engine.checkpoint import Checkpoints
from engine.config.hooks import build_hooks, with_weights_beside
from engine.config.protocol import ProtocolCheck
from engine.config.run_overrides import command_line_overrides
from engine.config.selection import check_categories, check_hook_splits, check_parts
from engine.config.settings import ImageSource
from engine.config.trackers import build_trackers
from engine.data.identity import record_or_check_data
from engine.data.image_source import (
    SourceConfig,
    open_or_build_cache,
    select_source,
    source_of,
)
from engine.data.loader import SeededBatches, training_loader, worker_count
from engine.embed_split import Watch, embed_split, unwatched
from engine.embedding_storage import storage_of
from engine.freezing import freeze_matching
from engine.frozen_features import feature_store, freeze, with_stored_features
from engine.hooks.hook import Hook, HookContext
from engine.hooks.run_hooks import RunHooks
from engine.initial_weights import load_initial_weights
from engine.learner import Learner, set_up
from engine.malloc import tune_malloc
from engine.measure import check_transform, measure
from engine.metric_accumulator import IDLE_STEPS, MetricAccumulator
from engine.run_description import describe_run
from engine.run_progress import RunProgress
from engine.run_writer import NullWriter, RunWriter
from engine.schedule import TrainingSchedule, schedule_from
from engine.trainer import Trainer
from engine.validation_feedback import feedback_loop
from evaluation.results import Results
from tracking.cost import Cost
from tracking.environment import device_name, environment
from tracking.metrics_log import MetricsLog
from tracking.run_folder import RunFolder
from tracking.run_logger import RunLogger
from tracking.summary import Directions


def train_and_evaluate(config: DictConfig, folder: RunFolder, claim: ProtocolCheck | None) -> None:
    """Train and evaluate the run of a configuration, in this process and those that it launches.

    Args:
        config: the configuration of the run; `num_classes` is filled in.
        folder: the folder of the run, which the first process writes.
        claim: the comparison with the published study that the run follows, to be recorded.
    """
    fabric = build_fabric(config.trainer)
    fabric.launch()  # starts the same command for every other device
    tune_malloc()
    cost = Cost(folder.cost, fabric.device, device_name(fabric.device), fabric.world_size)

    table = record_or_check_data(folder, load_table(config), first=fabric.is_global_zero)
    train, splits = build_images(config, table)
    hooks = checked_hooks(config, splits)
    sampler = sampler_of(config, train)

    config.num_classes = len(train.class_names)
    schedule = schedule_from(config.trainer, len(sampler))
    workers = worker_count(config.trainer.workers, config.trainer.devices)
    source = SourceConfig(
        source_of(config.trainer), Path(config.paths.cache), workers, config.trainer.progress
    )
    progress = begin_progress(config, folder, fabric, train, splits, schedule, source.source)
    sources = open_or_build_cache(source, train, splits)
    if fabric.is_global_zero:
        record_origin(config, folder, schedule, claim, sources)

    seed_everything(config.seed, verbose=False)  # the same in every process
    learner = build_learner(config, folder, fabric, train, sampler, schedule)
    train, splits = with_stored_features(
        config, fabric, learner.model.module, train, splits, workers
    )
    measure_splits, own_directions = build_evaluation(
        config, fabric, learner, splits, workers, progress.watch
    )
    directions = with_weights_beside(own_directions, hooks)
    feedback = feedback_loop(
        nn.ModuleList([learner.criterion, learner.method]),
        splits,
        measure_splits,
        own_directions,
        schedule.total_steps,
    )
    batches = SeededBatches(
        sampler, config.seed, fabric.global_rank, fabric.world_size, learner.method.num_views
    )
    embed_training_images = partial(
        embed_for_sampler, config, table, fabric, learner.model, source, progress.watch
    )
    checkpoints = Checkpoints(folder.checkpoints, MetricsLog(folder.metrics))
    with open_writer(
        config, folder, learner, schedule, checkpoints, cost, directions, progress
    ) as writer:
        Trainer(
            learner=learner,
            loader=training_loader(train, batches, workers, fabric.device),
            batches=batches,
            evaluate=partial(measure_splits, splits),
            hooks=run_hooks(hooks, folder, learner, schedule, checkpoints, directions),
            feedback=feedback,
            schedule=schedule,
            checkpoints=checkpoints,
            storage=storage_of(batches, embed_training_images, fabric.device),
            writer=writer,
        ).fit()
    shutdown(fabric)


def checked_hooks(config: DictConfig, splits: Mapping[str, Images]) -> Mapping[str, Hook]:
    """The hooks of a run; checks that its splits have what hooks and evaluation need."""
    hooks = build_hooks(config)
    check_hook_splits(hooks, splits)
    check_categories(config, {name: images.categories for name, images in splits.items()})
    return hooks


def begin_progress(
    config: DictConfig,
    folder: RunFolder,
    fabric: Fabric,
    train: Images,
    splits: Mapping[str, Images],
    schedule: TrainingSchedule,
    source: ImageSource,
) -> RunProgress:
    """Print what the run is going to do; returns its progress, silent in all processes but one."""
    progress = RunProgress(schedule, config.trainer.progress if fabric.is_global_zero else "none")
    progress.describe(describe_run(config, folder, fabric, train, splits, schedule, source))
    return progress


def run_hooks(
    hooks: Mapping[str, Hook],
    folder: RunFolder,
    learner: Learner,
    schedule: TrainingSchedule,
    checkpoints: Checkpoints,
    directions: Directions,
) -> RunHooks:
    """The hooks of a run, with all that they may read."""
    context = HookContext(
        step=0,
        epoch=0,
        total_steps=schedule.total_steps,
        model=learner.model.module,
        criterion=learner.criterion,
        folder=folder.path,
        directions=directions,
    )
    return RunHooks(hooks, learner.fabric, context, schedule, checkpoints.records)


def build_evaluation(
    config: DictConfig,
    fabric: Fabric,
    learner: Learner,
    splits: Mapping[str, Images],
    workers: int,
    watch: Watch,
) -> tuple[Callable[..., Results], Directions]:
    """Build the function that evaluates given splits, and the directions of its metrics.

    Raises:
        ConfigurationError: the run selects by a part that an embedding does not have.
        ValueError: the transform of the evaluation does not suit the embeddings.
    """
    parts = learner.method.parts
    check_parts(config, parts)
    evaluator = instantiate(config.evaluation.measure)
    check_transform(fabric, learner.model, splits, evaluator, parts)
    measure_splits = partial(
        measure,
        fabric,
        learner.model,
        evaluation=evaluator,
        batch_size=config.evaluation.batch_size,
        num_workers=workers,
        parts=parts,
        watch=watch,
    )
    return measure_splits, with_parts(evaluator.higher_is_better, parts)


def embed_for_sampler(
    config: DictConfig,
    table: Table,
    fabric: Fabric,
    model: nn.Module,
    source: SourceConfig,
    watch: Watch = unwatched,
) -> Tensor:
    """Embeddings of all training images, in their order, with the transform of the evaluation.

    Args:
        model: the embedder as `fabric` has set it up.
        watch: shows the progress of the batches.
    """
    images = splits_of(table, ["train"], instantiate(config.transform).eval)["train"]
    select_source(source, images)
    batch_size, workers = config.evaluation.batch_size, source.num_workers
    store = feature_store(config, fabric, model.get_submodule("module"), workers)
    shown = images if store is None else store.evaluated(images)
    return embed_split(fabric, model, shown, batch_size, workers, "train", watch).embeddings


def with_parts(directions: Directions, parts: Collection[str]) -> Directions:
    """The directions of all metrics, for the whole embedding and for parts of it."""
    return {
        **directions,
        **{f"{part}/{name}": better for part in parts for name, better in directions.items()},
    }


def build_learner(
    config: DictConfig,
    folder: RunFolder,
    fabric: Fabric,
    train: Images,
    sampler: BatchSampler,
    schedule: TrainingSchedule,
) -> Learner:
    """Build backbone, loss, method, optimizer and learning rate schedule on the device."""
    trainer = config.trainer
    backbone = build_backbone(config, train)
    load_initial_weights(config, folder, backbone, first=fabric.is_global_zero)
    freeze_matching(backbone, trainer.freeze)
    criterion = instantiate(config.loss)
    method = build_method(config, backbone, criterion)
    check_method(config, method, backbone, sampler, criterion)
    embedder = method.embedder(backbone)
    if trainer.features == "frozen":
        freeze(embedder, trainer)
    return set_up(
        fabric,
        model=embedder,
        criterion=criterion,
        make_optimizer=instantiate(config.optimizer),
        make_scheduler=partial(instantiate(config.scheduler), plan=schedule),
        head_lr=trainer.head_lr,
        max_grad_norm=trainer.max_grad_norm,
        chunk_size=trainer.chunk_size,
        compiled=trainer.compile,
        method=method,
        layer_lr_decay=trainer.layer_lr_decay,
        frozen_batchnorm=bool(trainer.freeze),
    )


@contextmanager
def open_writer(
    config: DictConfig,
    folder: RunFolder,
    learner: Learner,
    schedule: TrainingSchedule,
    checkpoints: Checkpoints,
    cost: Cost,
    directions: Directions,
    progress: RunProgress,
) -> Iterator[RunWriter | NullWriter]:
    """The writer of this process; closes trackers and progress bar at the end."""
    if not learner.fabric.is_global_zero:
        yield NullWriter()
        return
    with build_trackers(config, folder.path) as trackers, progress:
        yield RunWriter(
            folder=folder,
            logger=RunLogger(checkpoints.records, trackers, directions),
            checkpoints=checkpoints,
            cost=cost,
            schedule=schedule,
            accumulator=MetricAccumulator(
                learner.uses_grad_scaler, patience=max(1, min(IDLE_STEPS, schedule.total_steps))
            ),
            progress=progress,
            select_on=config.evaluation.select_on,
            storage_metrics=config.trainer.storage_metrics,
        )


def record_origin(
    config: DictConfig,
    folder: RunFolder,
    schedule: TrainingSchedule,
    claim: ProtocolCheck | None,
    sources: Mapping[str, str],
) -> None:
    """Write the configuration, the environment and the schedule of a run into its folder.

    Args:
        sources: the image source of every split.
    """
    write_text_atomically(folder.config, OmegaConf.to_yaml(config, resolve=True))
    folder.write_json(folder.overrides, {"overrides": command_line_overrides()})
    origin = {"protocol": claim and claim.record(), "images": sources}
    folder.write_json(folder.environment, environment() | origin)
    folder.write_json(folder.plan, asdict(schedule))
