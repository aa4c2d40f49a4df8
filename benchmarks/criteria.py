"""Benchmark of losses and miners against pytorch-metric-learning and a lower bound.

The lower bound (`floor` in the table) is the work that no loss of all pairs can avoid: normalise
the embeddings, one N x N product, and backward through both. Losses run forward and backward over
all tuples (miners forward) on N embeddings of 128 dimensions, 4 per class, with N/4 classes. Each
implementation runs in a process of its own with a memory limit, in alternating rounds.
"""

import argparse
import ctypes
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.progress import track
from torch import Tensor

from benchmarks.implementation import GIB, circumstances, memory
from benchmarks.worker import Worker
from core.files import write_text_atomically
from engine.config.compose import compose_run
from engine.config.run_name import CONF
from engine.malloc import tune_malloc

SIZES = (112, 512, 1024, 4096)
DIM, PER_CLASS = 128, 4
SECONDS = 0.2  # how long one round repeats the work

Work = Callable[[], object]


def floor(embeddings: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG001
    unit = F.normalize(embeddings, dim=1)
    return (unit @ unit.T).sum()


def ours(kind: str, name: str, num_classes: int) -> Callable[..., Any]:
    """The loss or miner of this project, with the options that make it equal to the one of PML."""
    from benchmarks.pml_equivalents import PML_LOSSES

    overrides = [f"num_classes={num_classes}", f"backbone.embedding_dim={DIM}"]
    options: Mapping[str, Any] = {}
    if kind == "loss":
        overrides += [f"loss={name}", "batchminer=none"]
        options = PML_LOSSES[name].options if name in PML_LOSSES else {}
    else:
        overrides += [f"batchminer={name}", "loss=triplet"]
    config = compose_run(overrides)
    group = "loss" if kind == "loss" else "batchminer"
    merged = OmegaConf.merge(config, {group: options})
    built: Callable[..., Any] = instantiate(OmegaConf.select(merged, group))
    return built


def theirs(kind: str, name: str, num_classes: int) -> Callable[..., Any]:
    from benchmarks.pml_equivalents import MINERS, PML_LOSSES

    if kind == "miner":
        return MINERS[name]()
    built: Callable[..., Any] = PML_LOSSES[name].build(num_classes=num_classes, embedding_dim=DIM)
    return built


IMPLEMENTATIONS = {"ours": ours, "theirs": theirs, "floor": lambda *_: floor}


def work_of(side: str, kind: str, name: str, size: int, device: str) -> Work:
    draw = torch.Generator().manual_seed(0)
    embeddings = torch.randn(size, DIM, generator=draw).to(device).requires_grad_()
    labels = (torch.arange(size) // PER_CLASS).to(device)
    criterion = IMPLEMENTATIONS[side](kind, name, size // PER_CLASS)
    if isinstance(criterion, torch.nn.Module):
        criterion.to(device)
    if kind == "miner":
        return partial(criterion, embeddings, labels)

    def forward_and_backward() -> None:
        criterion(embeddings, labels).backward()

    return forward_and_backward


def measure(work: Work, device: str) -> dict[str, Any]:
    """Median seconds of the repeated work, and its peak memory above that of the process before."""
    on_gpu = device == "cuda"
    if on_gpu:
        work()  # loads the kernels, once per process
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        ctypes.CDLL(None).malloc_trim(0)  # returns the memory that earlier rounds have freed
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = memory("VmRSS")
        work()  # threads and caches are warm from here
    taken: list[float] = []
    while sum(taken) < SECONDS:
        start = time.perf_counter()
        work()
        if on_gpu:
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated() if on_gpu else memory("VmHWM")
    return {"seconds": statistics.median(taken), "gib": (peak - before) / GIB}


def serve_rounds(side: str, device: str) -> None:
    """Worker: answers each line `<kind> <name> <N>` of the standard input with one round."""
    tune_malloc()  # as a run does
    works: dict[str, Work] = {}
    for line in sys.stdin:
        kind, name, size = line.split()
        if line not in works:
            works = {line: work_of(side, kind, name, int(size), device)}
        print(json.dumps(measure(works[line], device)), flush=True)


def compare(
    kind: str, name: str, workers: Mapping[str, Worker], chosen: argparse.Namespace
) -> pd.DataFrame:
    """Compares all implementations of one loss or miner; one row per batch size."""
    rows = []
    for worker in workers.values():
        worker.restart()
    for size in chosen.sizes:
        rounds = [
            {side: worker.ask(f"{kind} {name} {size}") for side, worker in workers.items()}
            for _ in range(chosen.rounds)
        ]
        rows.append({"kind": kind, "name": name, "N": size, **row(rounds, list(workers))})
    return pd.DataFrame(rows)


def row(rounds: list[dict[str, dict[str, Any]]], sides: list[str]) -> dict[str, Any]:
    """Medians over the rounds; a ratio is the median of the ratios of each round."""
    found: dict[str, Any] = {}
    for side in sides:
        answers = [answers_of_round[side] for answers_of_round in rounds]
        failure = next((a["failure"] for a in answers if "failure" in a), "")
        found[f"{side}_failure"] = failure
        if not failure:
            found[f"{side}_ms"] = round(1000 * statistics.median(a["seconds"] for a in answers), 3)
            found[f"{side}_gib"] = round(max(a["gib"] for a in answers), 3)
    for other in ("floor", "theirs"):
        if f"{other}_ms" in found and "ours_ms" in found:
            ratios = [answer["ours"]["seconds"] / answer[other]["seconds"] for answer in rounds]
            found[f"ours/{other}"] = round(statistics.median(ratios), 2)
    return found


def names_of(kind: str) -> list[str]:
    """Every loss or miner of conf/, without combinations of several losses."""
    group = CONF / ("loss" if kind == "loss" else "batchminer")
    paths = sorted(group.glob("*.yaml"))
    return [path.stem for path in paths if path.stem != "none" and "/loss@" not in path.read_text()]


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("criteria", help="losses and miners")
    device = "where everything runs"
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help=device)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="batch sizes")
    parser.add_argument("--only", nargs="+", help="names of losses and miners")
    parser.add_argument(
        "--sides",
        nargs="+",
        choices=IMPLEMENTATIONS,
        default=list(IMPLEMENTATIONS),
        help="implementations",
    )
    parser.add_argument("--rounds", type=int, default=3, help="of all implementations, in turn")
    parser.add_argument(
        "--memory", type=float, default=8, help="GiB an implementation may use on the CPU"
    )
    parser.add_argument("--timeout", type=float, default=30, help="seconds a measurement may take")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    from benchmarks.pml_equivalents import MINERS, PML_LOSSES

    path = chosen.out / f"criteria_{chosen.device}.csv"
    todo = [
        (kind, name)
        for kind in ("loss", "miner")
        for name in names_of(kind)
        if not chosen.only or name in chosen.only
    ]
    with ExitStack() as stack:
        all_workers = {
            side: stack.enter_context(
                Worker(
                    ["benchmarks.criteria", side, chosen.device],
                    chosen.memory,
                    chosen.timeout,
                )
            )
            for side in chosen.sides
        }
        for kind, name in track(todo, description="measuring"):
            equivalents = PML_LOSSES if kind == "loss" else MINERS
            workers = {s: c for s, c in all_workers.items() if s != "theirs" or name in equivalents}
            save(compare(kind, name, workers, chosen).assign(**circumstances(chosen.device)), path)
    print(summary(pd.read_csv(path)))


def save(table: pd.DataFrame, path: Path) -> None:
    """Writes the rows to the CSV; they replace older rows of the same names and sizes."""
    if path.exists():
        table = pd.concat([pd.read_csv(path), table])
        table = table.drop_duplicates(["kind", "name", "N"], keep="last")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table.sort_values(["kind", "name", "N"]).to_csv(index=False))


def summary(table: pd.DataFrame) -> str:
    """Markdown table, one line per kind and size: the ratios, and what needs most memory."""
    heads = ["", "N", "median / floor", "most", "median / theirs", "most", "most memory, GiB"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for (kind, size), rows in table.groupby(["kind", "N"]):
        cells = [str(kind), str(size)]
        for ratio in ("ours/floor", "ours/theirs"):
            known = rows.dropna(subset=[ratio]) if ratio in rows else rows[:0]
            cells += [typical(known, ratio), largest(known, ratio)]
        lines.append("| " + " | ".join([*cells, largest(rows, "ours_gib")]) + " |")
    return "\n".join(lines)


def typical(rows: pd.DataFrame, column: str) -> str:
    return "" if rows.empty else f"{rows[column].median():.2f}"


def largest(rows: pd.DataFrame, column: str) -> str:
    if rows.empty:
        return ""
    row = rows.sort_values(column).iloc[-1]
    return f"{row[column]:.2f} ({row['name']})"


if __name__ == "__main__":
    serve_rounds(*sys.argv[1:])
