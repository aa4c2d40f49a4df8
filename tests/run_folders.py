"""Writers of run folders as main.py leaves them, without any training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tracking.metrics_log import MetricsLog
from tracking.run_folder import RunFolder
from tracking.summary import summarise

DIRECTIONS = {"recall@1": True, "nmi": True, "map@r": True}
CONFIG: dict[str, Any] = {
    "backbone": {"_target_": "architectures.resnet50.resnet50", "embedding_dim": 128},
    "loss": {"_target_": "criteria.margin.Margin", "beta": 1.2},
    "evaluation": {"select_on": "val/recall@1"},
}
COST = {
    "seconds": 5400.0,
    "train_seconds": 5000.0,
    "images_per_second": 250.0,
    "peak_memory_gib": 7.5,
    "gpu_hours": 1.5,
    "device": "H200",
}


def write_run(
    root: Path,
    name: str,
    *evaluations: Mapping[str, float],
    config: Mapping[str, Any] = CONFIG,
    error: str | None = None,
    commit: str = "0123456789abcdef",
    protocol: Mapping[str, Any] | None = None,
) -> RunFolder:
    """A run that measured `evaluations`, one per epoch, such as {"test/recall@1": 0.5}.

    Args:
        name: `<dataset>/<group>/seed<k>`.
        error: why it failed after them; None finishes it.
        protocol: what it claims to follow, as environment.json has it.
    """
    folder = RunFolder(root / name)
    folder.path.mkdir(parents=True)
    seed = int(folder.path.name.removeprefix("seed"))
    folder.config.write_text(yaml.safe_dump({**config, "seed": seed}))
    told = {"commit": commit, "dirty": False, "protocol": protocol}
    folder.write_json(folder.environment, told)
    records = MetricsLog(folder.metrics)
    for epoch, values in enumerate(evaluations, start=1):
        records.append({"step": 10 * epoch, "epoch": epoch, "time": 60.0 * epoch, **values})
    try:
        with folder.running():
            if error:
                raise RuntimeError(error)
            summary = summarise(records.read(), "val/recall@1", DIRECTIONS)
            folder.write_json(folder.summary, summary | {"cost": COST})
    except RuntimeError:
        pass
    return folder


def write_study(root: Path, table: Mapping[str, Mapping[str, list[float]]]) -> Path:
    """dataset -> method -> Recall@1 of seeds 0, 1, ...; NMI is half of it, MAP@R a quarter."""
    for dataset, methods in table.items():
        for number, (method, values) in enumerate(methods.items()):
            for seed, value in enumerate(values):
                measured = {"recall@1": value, "nmi": value / 2, "map@r": value / 4}
                name = f"{dataset}/{method}_{number:08x}/seed{seed}"
                write_run(root, name, {f"test/{k}": v for k, v in measured.items()})
    return root
