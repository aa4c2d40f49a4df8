"""Train and evaluate one configuration:  python main.py dataset=cub200 loss=triplet seed=1.

Composes the groups of conf/ into a run, trains the embedder, evaluates it, records everything in
runs/<dataset>/<group>/seed<k>/ and ends with the table of metrics and the path of summary.json.
The same command again resumes an interrupted run and skips a finished one.
"""

import os

# before torch: threads that wait must leave their core to the workers that load the images
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from dataclasses import asdict, replace
from functools import partial

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning_fabric import seed_everything
from omegaconf import DictConfig, OmegaConf

from core.files import write_text_atomically
from datasets.images import Images
from engine.adapt import adaptation
from engine.build import fabric_of, splits_of, table_of
from engine.checkpoint import Checkpoints
from engine.configuration import check, explained
from engine.fit import fit
from engine.learner import set_up
from engine.loader import SeededBatches, training_loader, worker_count
from engine.measure import measure
from engine.plan import plan
from engine.protocol import Claim, claim_of, warn
from sweeps.job import Job, Outcome
from sweeps.place import run_folder
from sweeps.pool import run_all
from tracking.cost import Cost
from tracking.environment import device_name, environment
from tracking.records import Records
from tracking.report import report
from tracking.run import Run
from tracking.run_folder import RunFolder


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> Outcome | None:
    command = HydraConfig.get()
    with explained():
        folder = run_folder(config, command.runtime.choices)
        if command.mode is RunMode.MULTIRUN:  # of a launcher that brought the job to this process
            return run_all([Job(command.overrides.task, folder, config.force)])[0]
        check(config, command.overrides.task)
        with folder.locked():
            if config.force:
                folder.clear()
            if not folder.finished:
                claim = claim_of(config, command.overrides.task)
                warn(claim)
                with folder.running():
                    train_and_evaluate(config, folder, claim)
        report(folder.summary)
    return None


def train_and_evaluate(config: DictConfig, folder: RunFolder, claim: Claim | None) -> None:
    trainer, workers = config.trainer, worker_count(config.trainer.workers)
    fabric = fabric_of(trainer)
    cost = Cost(folder.cost, fabric.device, device_name(fabric.device))

    table = table_of(config)
    transform = instantiate(config.transform)
    train = Images(table[table.split == "train"], transform.train)
    names = ["train", "val", "test"] if config.evaluation.train_metrics else ["val", "test"]
    splits = splits_of(table, names, transform.eval)
    sampler = instantiate(config.sampler)(labels=train.labels)

    config.num_classes = len(train.class_names)
    write_text_atomically(folder.config, OmegaConf.to_yaml(config, resolve=True))
    folder.write_json(folder.environment, environment() | {"protocol": claim and claim.record()})
    schedule = plan(
        len(sampler),
        epochs=trainer.epochs,
        iterations=trainer.iterations,
        evaluate_every_epochs=trainer.evaluate_every_epochs,
        evaluate_every_iterations=trainer.evaluate_every_iterations,
        log_every=trainer.log_every,
        checkpoint_every=trainer.checkpoint_every,
    )

    folder.write_json(folder.plan, asdict(schedule))

    seed_everything(config.seed, verbose=False)
    learner = set_up(
        fabric,
        model=instantiate(config.backbone),
        criterion=instantiate(config.loss),
        make_optimizer=instantiate(config.optimizer),
        make_scheduler=partial(instantiate(config.scheduler), plan=schedule),
        head_lr=trainer.head_lr,
        max_grad_norm=trainer.max_grad_norm,
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
    known = evaluation.higher_is_better
    adapt = adaptation(learner.criterion, splits, measured, known, schedule.total_steps)
    batches = SeededBatches(sampler, config.seed)
    with instantiate(config.tracker)(
        folder=folder.path, config=OmegaConf.to_container(config, resolve=True)
    ) as mirror:
        run = Run(Records(folder.metrics), mirror, evaluation.higher_is_better)
        fit(
            replace(learner, adapt=adapt),
            training_loader(train, batches, workers, pin_memory=fabric.device.type == "cuda"),
            batches,
            partial(measured, splits),
            schedule,
            Checkpoints(folder.checkpoints),
            run,
            cost,
            trainer.storage_metrics,
            partial(run.stalled, config.evaluation.select_on, trainer.patience),
        )
        summary = run.summary(config.evaluation.select_on) | {"cost": cost.save()}
        folder.write_json(folder.summary, summary)
        mirror.finish(summary)


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand the error over; it is explained here, in one line
    with explained():
        main()
