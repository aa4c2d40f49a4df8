"""Scaling benchmark: images per second and exchanged bytes of one batch on 1 to 4 CPU processes.

Each case is `python main.py trainer.devices=<P>`, which splits the batch among P processes that
communicate by gloo. More processes than cores share the cores, so that the benchmark shows the cost
of the communication rather than a speed-up. Bytes are those that the first process writes per step,
nearly all of them to the other processes. The computed bytes follow docs/scaling.md.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pandas as pd
from hydra.utils import instantiate

from benchmarks.implementation import ImplementationError, Measured, write_table
from benchmarks.synthetic_images import write_synthetic_images
from benchmarks.throughput import TimingWindows, finished_run, from_scratch, read
from engine.config.compose import compose_run
from tracking.metrics_log import MetricsLog, Record
from tracking.run_folder import RunFolder

MB = 1e6
WRITTEN = "written.jsonl"


class Written:
    """Tracker that records how many bytes this process has written, to files and to sockets.

    See proc_pid_io(5).

    Args:
        folder: the folder of the run.
        others: arguments of a real tracker; ignored.
    """

    def __init__(self, folder: Path, **others: object) -> None:  # noqa: ARG002
        self.records = MetricsLog(folder / WRITTEN)

    def resume(self, records: Sequence[Record]) -> None: ...

    def log(self, step: int, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        self.records.append({"step": step, "bytes": int(counts["wchar"])})

    def finish(self, summary: Mapping[str, Any]) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def written(run: RunFolder) -> float:
    """Bytes per step, from the first record to the last one before the evaluation."""
    first, *_, last, _ = MetricsLog(run.path / WRITTEN).read()
    return float((last["bytes"] - first["bytes"]) / (last["step"] - first["step"]))


def computed(overrides: list[str], processes: int) -> float:
    """Bytes per step that a process sends, by docs/scaling.md; the few of the loss are left out."""
    config = compose_run(overrides)
    backbone, samples = instantiate(config.backbone), config.sampler.batch_size
    gradients = sum(p.nbytes for p in backbone.parameters() if p.requires_grad)
    embeddings = 4 * samples * config.backbone.embedding_dim
    shared = 2 * gradients + 2 * embeddings + 8 * samples
    return float(shared * (processes - 1) / processes)


def measure(overrides: list[str], processes: int, chosen: argparse.Namespace) -> Measured:
    timing = TimingWindows(chosen.steps, chosen.windows)
    mirror = "tracker._target_=benchmarks.scaling.Written"
    whole = [*overrides, mirror, f"trainer.devices={processes}"]
    try:
        with finished_run(whole, timing, chosen.memory, chosen.timeout) as run:
            measured, exchanged = read(run, timing), written(run)
    except ImplementationError as error:
        return Measured(None, None, None, {}, str(error))
    megabytes = {"MB": exchanged / MB, "MB computed": computed(overrides, processes) / MB}
    return measured._replace(results={**measured.results, **megabytes})


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("scaling", help="one batch on several processes")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 3, 4], help="numbers")
    parser.add_argument("--backbone", default="resnet50", help="a choice of conf/backbone")
    parser.add_argument("--batch", type=int, default=48, help="images, of all processes together")
    parser.add_argument("--pixels", type=int, default=64, help="height and width of the crop")
    parser.add_argument("--steps", type=int, default=2, help="per window")
    parser.add_argument(
        "--windows", type=int, default=3, help="after one to warm up; their median counts"
    )
    parser.add_argument("--rounds", type=int, default=1, help="of all implementations, in turn")
    parser.add_argument("--override", nargs="+", default=[], help="key=value for the run")
    parser.add_argument("--memory", type=int, default=8, help="GiB each process may use")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds a run may take")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    path = chosen.out / "scaling_cpu.csv"
    done: dict[str, list[Measured]] = {str(processes): [] for processes in chosen.processes}
    with TemporaryDirectory() as folder:
        table = write_synthetic_images(Path(folder), classes=chosen.batch, per_class=20)
        overrides = [
            *from_scratch(table, chosen.backbone, chosen.batch),
            f"transform.crop={chosen.pixels}",
            "trainer.accelerator=cpu",
            *chosen.override,
        ]
        for _ in range(chosen.rounds):
            for processes, measured in done.items():
                measured.append(measure(overrides, int(processes), chosen))
                print(processes, measured[-1], flush=True)
    name = " ".join([chosen.backbone, str(chosen.batch), str(chosen.pixels), *chosen.override])
    write_table(path, {"size": name, "batch": chosen.batch}, done, "cpu")
    print(summary(pd.read_csv(path)))


def summary(table: pd.DataFrame) -> str:
    """Markdown table, one line per number of processes; speed relative to the first."""
    heads = ["", "processes", "images/s", "of one process", "MB per step", "computed"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, rows in table.dropna(subset=["seconds_median"]).groupby("size", sort=False):
        rates = rows["batch"] / rows["seconds_median"]
        for (_, row), rate in zip(rows.iterrows(), rates, strict=True):
            found = json.loads(row["results"])
            exchanged = [f"{found[key]:.1f}" for key in ("MB", "MB computed")]
            cells = [name, row["side"], f"{rate:.1f}", f"{rate / rates.iloc[0]:.2f}", *exchanged]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
