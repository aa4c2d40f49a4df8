"""Benchmark of the samplers of stored embeddings: seconds of all batches of an epoch.

Each implementation plans the 56 classes x 2 images of every batch from random embeddings around
class centres. The code of Roth et al. 2020 is measured beside ours where `--roth` names a checkout
of it, with one of its processes per core instead of 16; its classes are used directly, because its
own selection by name ends in a NameError for `fid_batchmatch`. Without a checkout, or where it ends
in an error, its row says so. CPU seconds include the processes that an implementation starts.
"""

import argparse
import importlib.util
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from torch import Tensor

from benchmarks.implementation import Measured, measured, run_in_process, write_table
from engine.config.compose import compose_run

BATCH, SAMPLES_PER_CLASS, BIG_BATCH, CANDIDATES = 112, 2, 512, 10  # Roth et al. 2020


class Size(NamedTuple):
    """Size of a training set: S images, D dimensions, number of classes."""

    num: int
    dim: int
    classes: int


SIZES = {
    "tiny": Size(1_200, 16, 120),
    "cub": Size(5_864, 128, 100),
    "sop": Size(59_551, 128, 11_318),
}
OURS: dict[str, list[str]] = {  # overrides of a run
    "greedy_coreset": [],
    "greedy_coreset softened": ["sampler.softened=true"],
    "d2_coreset": [],
    "d2_coreset projected": ["sampler.projection_dim=16"],
    "fid_match": [],
    "distance_histogram_match": [],
    "greedy_class_coreset": ["sampler.samples_per_class=2", f"sampler.batch_size={BATCH}"],
    "presampled_infobatch": [f"sampler.batch_size={BATCH}"],
    "tuples_to_weights": [],
}
ROTH: dict[
    str, tuple[str, dict[str, Any]]
] = {  # file of the released code, and its options other than the defaults
    "Roth et al. greedy_coreset": ("greedy_coreset_sampler", {}),
    "Roth et al. greedy_coreset softened": ("greedy_coreset_sampler", {"data_gc_softened": True}),
    "Roth et al. d2_coreset": ("d2_coreset_sampler", {}),
    "Roth et al. d2_coreset projected": ("d2_coreset_sampler", {"data_sampler_lowproj_dim": 16}),
    "Roth et al. fid_batchmatch": ("fid_batchmatch_sampler", {}),
    "Roth et al. disthist_batchmatch": ("disthist_batchmatch_sampler", {}),
}
IMPLEMENTATIONS = [*OURS, *ROTH]


def training_set(size: Size) -> tuple[Tensor, np.ndarray]:
    """Random unit embeddings (S, D) around class centres, and labels (S,); at least two a class."""
    rng = np.random.default_rng(0)
    rest = rng.integers(size.classes, size=size.num - 2 * size.classes)
    labels = np.sort(np.concatenate([np.tile(np.arange(size.classes), 2), rest]))
    centres = rng.standard_normal((size.classes, size.dim), dtype=np.float32)
    rows = centres[labels] + rng.standard_normal((size.num, size.dim), dtype=np.float32)
    return F.normalize(torch.from_numpy(rows)), labels


def our_epoch(name: str, embeddings: Tensor, labels: np.ndarray) -> Callable[[], Mapping[str, Any]]:
    """The batches of an epoch of one of our samplers, as its YAML builds it."""
    overrides = [f"sampler={name.split()[0]}", *OURS[name]]
    sampler = instantiate(compose_run(overrides).sampler)(labels=labels)
    sampler.storage.fill(embeddings)

    def epoch() -> Mapping[str, Any]:
        sampler.set_epoch(0)
        batches = list(sampler)
        return {"batches": len(batches), "images": len(batches[0])}

    return epoch


def their_epoch(
    name: str, checkout: str, embeddings: Tensor, labels: np.ndarray
) -> Callable[[], Mapping[str, Any]]:
    """The batches of an epoch of a sampler of the released code of Roth et al."""
    file, changes = ROTH[name]
    module = load(Path(checkout) / "datasampler" / f"{file}.py")
    options: dict[str, Any] = {
        "bs": BATCH,
        "samples_per_class": SAMPLES_PER_CLASS,
        "data_batchmatch_bigbs": BIG_BATCH,
        "data_batchmatch_ncomps": CANDIDATES,
        "data_storage_no_update": False,
        "data_d2_coreset_lambda": 1,
        "data_gc_coreset_lim": 1e-9,
        "data_gc_softened": False,
        "data_sampler_lowproj_dim": -1,
    }
    images = [(f"{index}.png", label) for index, label in enumerate(labels.tolist())]
    by_class: dict[int, list[tuple[str, int]]] = {}
    for index, (path, label) in enumerate(images):
        by_class.setdefault(label, []).append((path, index))
    sampler = module.Sampler(SimpleNamespace(**options | changes), by_class, images)
    sampler.storage, sampler.n_jobs = embeddings, len(os.sched_getaffinity(0))

    def epoch() -> Mapping[str, Any]:
        sampler.precompute_indices()
        batches = list(sampler)
        # its CPU seconds are known only after its processes have ended
        import_module("joblib.externals.loky").get_reusable_executor().shutdown(wait=True)
        return {"batches": len(batches), "images": len(batches[0])}

    return epoch


def load(file: Path) -> ModuleType:
    """A module from its file, whose functions joblib can send to other processes."""
    spec = importlib.util.spec_from_file_location(f"released_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    import_module("joblib.externals.cloudpickle").register_pickle_by_value(module)
    return module


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("samplers", help="batches planned from stored embeddings")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    sizes, sides = ["cub", "sop"], IMPLEMENTATIONS
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=sizes, help="training sets")
    parser.add_argument("--sides", nargs="+", choices=sides, default=sides, help="implementations")
    parser.add_argument("--roth", default="", help="checkout of the code of Roth et al. 2020")
    parser.add_argument("--rounds", type=int, default=3, help="of all implementations, in turn")
    parser.add_argument("--memory", type=int, default=16, help="GiB a process may use")
    parser.add_argument(
        "--timeout", type=int, default=1200, help="seconds an implementation may take"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    table = chosen.out / "samplers_cpu.csv"
    for size in chosen.sizes:
        times: dict[str, list[Measured]] = {side: [] for side in chosen.sides}
        for _ in range(chosen.rounds):
            for side, done in times.items():
                done.append(one_round(size, side, chosen))
                print(f"{size:8} {side:36} {done[-1]}", flush=True)
        write_table(table, {"size": size, **SIZES[size]._asdict()}, times, "cpu")
    print(summary(pd.read_csv(table, dtype=str, keep_default_na=False)))


def one_round(size: str, side: str, chosen: argparse.Namespace) -> Measured:
    if side in ROTH and not chosen.roth:
        return Measured(None, None, None, {}, "no checkout: --roth names none")
    child = ["benchmarks.samplers", size, side, chosen.roth]
    return run_in_process(child, chosen.memory, chosen.timeout)


def one_implementation(size: str, side: str, checkout: str) -> None:
    embeddings, labels = training_set(SIZES[size])
    make = partial(their_epoch, side, checkout) if side in ROTH else partial(our_epoch, side)
    done = measured(make(embeddings, labels), "cpu")
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.cpu_seconds is not None
    cpu = done.cpu_seconds + children.ru_utime + children.ru_stime
    print(json.dumps(done._replace(cpu_seconds=cpu)._asdict()))


def summary(table: pd.DataFrame) -> str:
    """Markdown table of wall and CPU seconds of an epoch."""
    heads = ["size", "sampler", "batches", "seconds", "CPU seconds", ""]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in table.to_dict("records"):
        batches = json.loads(row["results"]).get("batches", "")
        seconds = row["seconds_median"], row["cpu_seconds_median"]
        cells = [row["size"], row["side"], batches, *seconds, row["failure"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    one_implementation(*sys.argv[1:])
