"""The same batch on 1 to 4 processes of this CPU: images per second, and bytes that they exchange.

Each side is `python main.py trainer.devices=<P>`, which shares the batch out among P processes that
talk by gloo, over TCP and the loopback device. Processes beyond the cores only share them, so that
this shows what the exchange costs, and no more speed than there are cores. Bytes are those that the
loopback device sent, of all processes together, less those of a shorter run, per step; whatever
else uses it meanwhile counts, too. The computed ones are those of docs/scaling.md.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hydra.utils import instantiate

from engine.compose import compose_run
from scripts.pace import Rhythm, from_scratch, pace
from scripts.photographs import write_photographs
from scripts.side import Measured, write_table

MB = 1e6
LOOPBACK = Path("/proc/net/dev")


def sent() -> int:
    """Bytes that the loopback device has sent since the machine started."""
    lines = [line.partition(":") for line in LOOPBACK.read_text().splitlines()]
    return next(int(numbers.split()[8]) for name, _, numbers in lines if name.strip() == "lo")


def computed(overrides: list[str], processes: int) -> float:
    """Bytes per step: gradients, reduced around a ring; embeddings there and back; labels; buffers.

    The few parameters of the criterion are left out.
    """
    config = compose_run(overrides)
    backbone, samples = instantiate(config.backbone), config.sampler.batch_size
    gradients = sum(p.nbytes for p in backbone.parameters() if p.requires_grad)
    embeddings = 4 * samples * config.backbone.embedding_dim
    buffers = sum(buffer.nbytes for buffer in backbone.buffers())
    return float((processes - 1) * (2 * gradients + 2 * embeddings + 8 * samples + buffers))


def measure(overrides: list[str], processes: int, chosen: argparse.Namespace) -> Measured:
    runs, exchanged = [], []
    for windows in (1, chosen.windows):
        before = sent()
        rhythm = Rhythm(chosen.steps, windows)
        devices = f"trainer.devices={processes}"
        runs.append(pace([*overrides, devices], rhythm, chosen.memory, chosen.timeout))
        exchanged.append(sent() - before)
    per_step = (exchanged[1] - exchanged[0]) / (chosen.steps * (chosen.windows - 1))
    megabytes = {"MB": per_step / MB, "MB computed": computed(overrides, processes) / MB}
    return runs[1]._replace(results={**runs[1].results, **megabytes})


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("scaling", help="one batch on several processes")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"))
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 3, 4])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch", type=int, default=48, help="images, of all processes together")
    parser.add_argument("--pixels", type=int, default=64, help="of a side of the crop")
    parser.add_argument("--steps", type=int, default=2, help="per window")
    parser.add_argument("--windows", type=int, default=4, help="at least 2; their median counts")
    parser.add_argument("--rounds", type=int, default=1, help="of all sides, in turn")
    parser.add_argument("--override", nargs="+", default=[], help="of the run")
    parser.add_argument("--memory", type=int, default=8, help="GiB each process may use")
    parser.add_argument("--timeout", type=int, default=1800, help="seconds a run may take")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    path = chosen.out / "scaling_cpu.csv"
    done: dict[str, list[Measured]] = {str(processes): [] for processes in chosen.processes}
    with TemporaryDirectory() as folder:
        table = write_photographs(Path(folder), classes=chosen.batch, per_class=20)
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
    """One line per number of processes, in Markdown; speed relative to one of them."""
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
