"""Run as a script: records small runs in folders and in W&B, as main.py does, without training.

    record_runs.py <folder of runs> <mode> <group> <seed>:<rows of training>,...

A seed that ends in `!` is left running: the process ends without a word, as if it was killed.
"""

import os
import sys
import time
from pathlib import Path

import yaml

from tracking.metrics_log import MetricsLog
from tracking.run_folder import RunFolder
from tracking.run_logger import RunLogger
from tracking.wandb_logger import WandbLogger

DIRECTIONS = {"recall@1": True, "nmi": True, "rho_spectrum@2": None}
COST = {"seconds": 60.0, "images_per_second": 100.0, "peak_memory_gib": 1.5, "gpu_hours": 0.5}


def record(folder: RunFolder, mode: str, seed: int, rows: int, killed: bool) -> None:
    config = {"seed": seed, "evaluation": {"select_on": "val/recall@1"}, "loss": {"margin": 0.2}}
    folder.path.mkdir(parents=True)
    folder.config.write_text(yaml.safe_dump(config))
    folder.write_json(folder.overrides, {"overrides": ["loss.margin=0.2", "group='a b'"]})
    folder.write_json(folder.environment, {"commit": "1234567890", "dirty": False})
    with (
        folder.running(),
        WandbLogger(mode, "p", "team", 60, folder=folder.path, config=config) as mirror,
    ):
        run = RunLogger(MetricsLog(folder.metrics), mirror, DIRECTIONS)
        for step in range(1, rows + 1):
            run.record(step, step / 10, {"train/loss": 1 / step})
        for step in (rows + 1, rows + 2):
            quality = 0.5 + seed / 10 + (step % 2) / 100
            values = {"recall@1": quality, "nmi": quality / 2, "rho_spectrum@2": 0.3}
            measured = {f"test/{name}": value for name, value in values.items()}
            run.record(step, step / 10, {**measured, "test/rho_spectrum@0": [0.5, 0.3]})
        if killed:
            time.sleep(1)  # the client has told of the run
            os._exit(0)
        summary = run.summary("val/recall@1") | {"cost": COST}
        folder.write_json(folder.summary, summary)
        mirror.finish(summary)
        assert not mirror.failed


if __name__ == "__main__":
    root, mode, group, seeds = sys.argv[1:]
    for told in seeds.split(","):
        seed, rows = map(int, told.rstrip("!").split(":"))
        place = Path(root, "digits", group, f"seed{seed}")
        record(RunFolder(place), mode, seed, rows, told.endswith("!"))
