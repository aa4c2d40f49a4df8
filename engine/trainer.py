"""Training and evaluation of one configuration, from the images to the summary of its run."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from hydra.utils import instantiate
from lightning_fabric import seed_everything
from omegaconf import DictConfig, OmegaConf

from core.files import write_text_atomically
from engine.build import build_backbone, build_fabric, build_images, load_table, shutdown
from engine.checkpoint import Checkpoints
from engine.config.protocol import ProtocolCheck
from engine.config.run_overrides import command_line_overrides
from engine.config.selection import check_patience
from engine.data.identity import record_or_check_data
from engine.data.image_source import SourceConfig, open_or_build_cache, source_of
from engine.data.loader import SeededBatches, training_loader, worker_count
from engine.data.prefetch import Batch
from engine.fit import Evaluate, fit, run_worker
from engine.learner import Learner, set_up
from engine.malloc import tune_malloc
from engine.measure import measure
from engine.schedule import TrainingSchedule, schedule_from
from engine.validation_feedback import feedback_loop
from tracking.cost import Cost
from tracking.environment import device_name, environment
from tracking.metrics_log import MetricsLog
from tracking.run_folder import RunFolder
from tracking.run_logger import RunLogger
from tracking.summary import Directions

Parts = tuple[Learner, Iterable[Batch], SeededBatches, Evaluate, TrainingSchedule, Checkpoints]


def train_and_evaluate(config: DictConfig, folder: RunFolder, claim: ProtocolCheck | None) -> None:
    trainer, fabric = config.trainer, build_fabric(config.trainer)
    fabric.launch()  # the same command again for every other device
    tune_malloc()
    cost = Cost(folder.cost, fabric.device, device_name(fabric.device), fabric.world_size)

    table = record_or_check_data(folder, load_table(config), first=fabric.is_global_zero)
    train, splits = build_images(config, table)
    check_patience(config, splits)
    sampler = instantiate(config.sampler)(labels=train.labels)

    config.num_classes = len(train.class_names)
    schedule = schedule_from(trainer, len(sampler))
    workers = worker_count(trainer.workers, trainer.devices)
    choice = SourceConfig(source_of(trainer), Path(config.paths.cache), workers)
    sources = open_or_build_cache(choice, train, splits)
    if fabric.is_global_zero:
        describe(config, folder, schedule, claim, sources)

    seed_everything(config.seed, verbose=False)  # the same in every process
    learner = set_up(
        fabric,
        model=build_backbone(config, train),
        criterion=instantiate(config.loss),
        make_optimizer=instantiate(config.optimizer),
        make_scheduler=partial(instantiate(config.scheduler), plan=schedule),
        head_lr=trainer.head_lr,
        max_grad_norm=trainer.max_grad_norm,
        chunk_size=trainer.chunk_size,
        compiled=trainer.compile,
    )
    evaluation = instantiate(config.evaluation.measure)
    measured = partial(
        measure,
        fabric,
        learner.model,
        evaluation=evaluation,
        batch_size=config.evaluation.batch_size,
        num_workers=workers,
    )
    adapt = feedback_loop(
        learner.criterion,
        splits,
        measured,
        evaluation.higher_is_better,
        schedule.total_steps,
    )
    batches = SeededBatches(sampler, config.seed, fabric.global_rank, fabric.world_size)
    records = MetricsLog(folder.metrics)
    parts: Parts = (
        replace(learner, adapt=adapt),
        training_loader(train, batches, workers, fabric.device),
        batches,
        partial(measured, splits),
        schedule,
        Checkpoints(folder.checkpoints, records),
    )
    if fabric.is_global_zero:
        fit_and_summarise(config, folder, parts, records, evaluation.higher_is_better, cost)
    else:
        run_worker(*parts)
    shutdown(fabric)


def fit_and_summarise(
    config: DictConfig,
    folder: RunFolder,
    parts: Parts,
    records: MetricsLog,
    higher_is_better: Directions,
    cost: Cost,
) -> None:
    """The part of the first process, which keeps the records."""
    trainer, select_on = config.trainer, config.evaluation.select_on
    with instantiate(config.tracker)(
        folder=folder.path, config=OmegaConf.to_container(config, resolve=True)
    ) as mirror:
        run = RunLogger(records, mirror, higher_is_better)
        stalled = partial(run.stalled, select_on, trainer.patience)
        fit(*parts, run, cost, trainer.storage_metrics, stalled)
        summary = run.summary(select_on) | {"cost": cost.save()}
        folder.write_json(folder.summary, summary)
        mirror.finish(summary)


def describe(
    config: DictConfig,
    folder: RunFolder,
    schedule: TrainingSchedule,
    claim: ProtocolCheck | None,
    sources: Mapping[str, str],
) -> None:
    """What is done here, where, by which code, with images read from where."""
    write_text_atomically(folder.config, OmegaConf.to_yaml(config, resolve=True))
    folder.write_json(folder.overrides, {"overrides": command_line_overrides()})
    origin = {"protocol": claim and claim.record(), "images": sources}
    folder.write_json(folder.environment, environment() | origin)
    folder.write_json(folder.plan, asdict(schedule))
