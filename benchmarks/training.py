"""Benchmark of a training step against a lower bound and a naive loop.

    floor   lower bound: forward, backward and optimizer of the backbone, images on the device
    ours    `python main.py`: loader, miner, loss, logging; by default the margin loss with
            distance-weighted mining
    loader  the same with a dummy backbone: reading, decoding and augmenting the images
    rest    `loader` with images of one pixel: miner, loss, logging and the rest of the loader
    plain   benchmarks/naive_loop.py, a loop as research code often has it

Each implementation runs in a process of its own, in alternating rounds. Weights are random, images
are synthetic. Seconds are per step; memory is that of the device, or else of the main process.
"""

import argparse
import math
import os
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from benchmarks.implementation import Measured, run_in_process, write_table
from benchmarks.synthetic_images import one_pixel, write_synthetic_images
from benchmarks.throughput import TimingWindows, from_scratch, throughput

STAND_IN = "backbone._target_=benchmarks.backbone_only.Table"
OF_ONE_PIXEL = ("transform=small", "transform.size=1", "transform.shift=0", STAND_IN)
MODULES = {"floor": "benchmarks.backbone_only", "plain": "benchmarks.naive_loop"}
IMPLEMENTATIONS = ("floor", "ours", "loader", "rest", "plain")
QUICK = 10  # least steps in a window without a backbone
DEFAULTS = {  # on a CPU a step of ResNet50 takes half a minute
    "cpu": {"batches": [112], "precisions": ["32-true"], "steps": 1, "memory": 20},
    "cuda": {
        "batches": [112, 512],
        "precisions": ["32-true", "bf16-mixed"],
        "steps": 10,
        "memory": 64,
    },
}


class Case(NamedTuple):
    """Case of the benchmark: backbone, images per batch, precision."""

    backbone: str
    batch: int
    precision: str


def measure(side: str, case: Case, table: Path, chosen: argparse.Namespace) -> Measured:
    """Measures one implementation; a name that is none of them is read as overrides of ours."""
    timing = TimingWindows(chosen.steps, chosen.windows)
    limits = (chosen.memory, chosen.timeout)
    images = one_pixel(table) if side == "rest" else table
    overrides = [
        *from_scratch(images, case.backbone, case.batch),
        f"trainer.precision={case.precision}",
        f"trainer.accelerator={chosen.device}",
    ]
    if side != "rest":
        overrides.append(f"transform.crop={chosen.pixels}")
    if side in MODULES:
        numbers = [str(number) for number in timing]
        return run_in_process([MODULES[side], *numbers, *overrides, *chosen.override], *limits)
    if side in ("loader", "rest"):
        timing = timing._replace(steps=max(timing.steps, QUICK))
        overrides += OF_ONE_PIXEL if side == "rest" else [STAND_IN]
    elif side != "ours":
        overrides += side.split()
    return throughput([*overrides, *chosen.override], timing, *limits)


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("training", help="a training step, data loading included")
    device = "where everything runs; it chooses the defaults that are not listed"
    parser.add_argument("--device", default="cpu", choices=DEFAULTS, help=device)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    backbones = ["resnet50", "bninception"]
    parser.add_argument(
        "--backbones", nargs="+", default=backbones, help="choices of conf/backbone"
    )
    parser.add_argument("--batches", nargs="+", type=int, help="images per batch")
    parser.add_argument("--precisions", nargs="+", help="such as bf16-mixed")
    parser.add_argument("--pixels", type=int, default=224, help="height and width of the crop")
    parser.add_argument("--classes", type=int, default=293, help="number of training classes")
    parser.add_argument("--per-class", type=int, default=20, help="images; CUB200 has 5,864 in all")
    parser.add_argument("--steps", type=int, help="per window")
    parser.add_argument(
        "--windows", type=int, default=3, help="after one to warm up; their median counts"
    )
    parser.add_argument("--rounds", type=int, default=1, help="of all implementations, in turn")
    parser.add_argument(
        "--sides",
        nargs="+",
        choices=IMPLEMENTATIONS,
        default=list(IMPLEMENTATIONS),
        help="implementations",
    )
    parser.add_argument(
        "--variants", nargs="+", default=[], help='more implementations: "trainer.compile=true ..."'
    )
    parser.add_argument(
        "--override",
        nargs="+",
        default=[],
        help="key=value for all; floor applies only trainer.chunk_size, plain nothing",
    )
    parser.add_argument("--memory", type=int, help="GiB a process may use of the host's")
    parser.add_argument(
        "--timeout", type=int, default=1800, help="seconds an implementation may take"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as main.py does, for every implementation
    for name, value in DEFAULTS[chosen.device].items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    path = chosen.out / f"training_{chosen.device}.csv"
    with TemporaryDirectory() as folder:
        table = write_synthetic_images(Path(folder), chosen.classes, chosen.per_class)
        for case in map(Case._make, product(chosen.backbones, chosen.batches, chosen.precisions)):
            done: dict[str, list[Measured]] = {s: [] for s in [*chosen.sides, *chosen.variants]}
            for _ in range(chosen.rounds):
                for side, measured in done.items():
                    measured.append(measure(side, case, table, chosen))
                    print(*case, side, measured[-1], flush=True)
            name = " ".join([*map(str, case), *chosen.override])
            size = {"size": name, **case._asdict(), "pixels": chosen.pixels}
            timing = {"steps": chosen.steps, "windows": chosen.windows}
            write_table(path, {**size, **timing}, done, chosen.device)
    print(summary(pd.read_csv(path)))


def summary(table: pd.DataFrame) -> str:
    """Markdown table, one line per case and run: images per second, ratios of seconds."""
    heads = ["", "run", "images/s", "floor / run"]
    heads += ["run / (floor + loader)", "rest / run", "plain / run"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, rows in table.groupby("size", sort=False):
        seconds = rows.set_index("side")["seconds_median"]
        floor, loader, rest, plain = (
            float(seconds.get(side, math.nan)) for side in ("floor", "loader", "rest", "plain")
        )
        for side, own in seconds.drop(
            ["floor", "loader", "rest", "plain"], errors="ignore"
        ).items():
            ratios = (floor / own, own / (floor + loader), rest / own, plain / own)
            cells = [
                name,
                side,
                f"{rows['batch'].iloc[0] / own:.1f}",
                *(f"{r:.3f}" for r in ratios),
            ]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
