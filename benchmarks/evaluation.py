"""Benchmark of the evaluation against pytorch-metric-learning and two lower bounds.

The implementations are our retrieval metrics, our whole default suite, the five numbers of
pytorch-metric-learning's AccuracyCalculator, one exact search of faiss for as many neighbours as
the largest class has samples, and one float32 product of all embeddings with all. `nmi difference`
measures no time, but the difference in NMI to the k-means of faiss; it runs only if it is named.

The embeddings are random, not trained: unit vectors around class centres of different tightness,
the centres around 300 concepts, with decaying variances; Recall@1 is near 0.75 at the size of SOP.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from benchmarks.implementation import Measured, measured, run_in_process, write_table
from engine.config.run_name import CONF
from evaluation.clustering.kmeans import kmeans
from evaluation.evaluator import Evaluator
from evaluation.metrics.map_at_r import map_at_r
from evaluation.metrics.map_c import map_c
from evaluation.metrics.metric import Metric
from evaluation.metrics.mrr import reciprocal_rank
from evaluation.metrics.nmi import nmi
from evaluation.metrics.r_precision import r_precision
from evaluation.metrics.recall import recall_at_k


class Size(NamedTuple):
    """Size of a set of embeddings: N samples, D dimensions, number of classes."""

    num: int
    dim: int
    classes: int


SIZES = {
    "tiny": Size(600, 16, 60),
    "cub": Size(5_924, 128, 100),
    "sop": Size(60_502, 128, 12_101),
    "sop512": Size(60_502, 512, 12_101),
    "large": Size(250_000, 128, 50_000),
    "largest": Size(300_000, 128, 60_000),
}
ROWS = 512  # of the product at a time
SEEDS = 5  # of the clusterings whose NMI is compared


def embeddings(size: Size, device: str) -> tuple[Tensor, Tensor]:
    """Random embeddings (N, D) and labels (N,), the same on every machine."""
    draw = torch.Generator().manual_seed(0)
    normal = partial(torch.randn, generator=draw)
    concepts = normal(300, size.dim) + normal(12, size.dim).repeat(25, 1)
    concept = torch.randint(300, (size.classes,), generator=draw)
    centers = concepts[concept] + 0.9 * normal(size.classes, size.dim)
    labels = torch.arange(size.num) % size.classes
    tightness = 2.0 * (0.3 + torch.rand(size.num, 1, generator=draw))
    vectors = centers[labels] + tightness * normal(size.num, size.dim)
    vectors *= torch.linspace(1, 0.1, size.dim).sqrt()
    return F.normalize(vectors, dim=1).to(device), labels.to(device)


def retrieval(vectors: Tensor, labels: Tensor) -> dict[str, Any]:
    metrics: dict[str, Metric] = {f"recall@{k}": partial(recall_at_k, k=k) for k in (1, 2, 4, 8)}
    metrics |= {"r_precision": r_precision, "map@r": map_at_r, "map_c": map_c}
    return Evaluator(metrics | {"mrr": reciprocal_rank})(vectors, labels)


def suite(vectors: Tensor, labels: Tensor) -> dict[str, Any]:
    """The metrics that conf/config.yaml names."""
    defaults = OmegaConf.load(CONF / "config.yaml").defaults
    names = next(group["metric"] for group in defaults if "metric" in group)
    metrics = [OmegaConf.load(CONF / "metric" / f"{name}.yaml") for name in names]
    results = Evaluator(instantiate(OmegaConf.merge(*metrics)))(vectors, labels)
    return {name: value for name, value in results.items() if not isinstance(value, list)}


def pytorch_metric_learning(vectors: Tensor, labels: Tensor) -> dict[str, Any]:
    from pytorch_metric_learning.utils.accuracy_calculator import (
        AccuracyCalculator,
    )

    ranked = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    five = (*ranked, "mean_reciprocal_rank", "NMI")
    calculator = AccuracyCalculator(include=five, k="max_bin_count", device=vectors.device)
    return {name: float(value) for name, value in calculator.get_accuracy(vectors, labels).items()}


def bare_faiss(vectors: Tensor, labels: Tensor) -> dict[str, Any]:
    import faiss

    index: faiss.Index = faiss.IndexFlatIP(vectors.shape[1])
    queries = vectors.cpu().numpy()
    if vectors.is_cuda:
        index = faiss.index_cpu_to_all_gpus(index)
    index.add(queries)
    k = int(labels.bincount().max()) + 1  # the query itself is found too
    index.search(queries, k)
    return {"k": k}


def bare_product(vectors: Tensor, labels: Tensor) -> dict[str, Any]:  # noqa: ARG001
    out = vectors.new_empty(ROWS, len(vectors))
    for rows in torch.split(vectors, ROWS):
        torch.mm(rows, vectors.T, out=out[: len(rows)])
    return {}


def nmi_difference(vectors: Tensor, labels: Tensor) -> dict[str, Any]:
    """NMI of our clusters and of those of faiss, 20 iterations each, averaged over the seeds."""
    import faiss

    points, num_classes = vectors.cpu().numpy(), len(torch.unique(labels))
    ours, theirs = [], []
    for seed in range(SEEDS):
        ours.append(nmi(labels, kmeans(vectors, num_classes, seed=seed)).item())
        clustering = faiss.Kmeans(
            points.shape[1],
            num_classes,
            niter=20,
            seed=seed,
            min_points_per_centroid=1,
            max_points_per_centroid=len(points),  # all points, whatever their number
            gpu=vectors.is_cuda,
        )
        clustering.train(points)
        clusters = torch.from_numpy(clustering.index.search(points, 1)[1][:, 0])
        theirs.append(nmi(labels.cpu(), clusters).item())
    means = sum(ours) / SEEDS, sum(theirs) / SEEDS
    return {"nmi": means[0], "faiss nmi": means[1], "difference": means[0] - means[1]}


IMPLEMENTATIONS = {
    "our retrieval metrics": retrieval,
    "our default suite": suite,
    "pytorch-metric-learning": pytorch_metric_learning,
    "bare faiss search": bare_faiss,
    "bare product": bare_product,
    "nmi difference": nmi_difference,
}
TIMED = [side for side in IMPLEMENTATIONS if side != "nmi difference"]


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("evaluation", help="search, clustering and metrics")
    device = "where everything runs"
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help=device)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    sizes, sides = ["cub", "sop", "sop512"], "implementations"
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=sizes, help="test sets")
    parser.add_argument("--sides", nargs="+", choices=IMPLEMENTATIONS, default=TIMED, help=sides)
    parser.add_argument("--rounds", type=int, default=3, help="of all implementations, in turn")
    parser.add_argument(
        "--memory", type=int, default=16, help="GiB an implementation may use on the CPU"
    )
    parser.add_argument(
        "--timeout", type=int, default=1200, help="seconds an implementation may take"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    table = chosen.out / f"evaluation_{chosen.device}.csv"
    for size in chosen.sizes:
        times: dict[str, list[Measured]] = {side: [] for side in chosen.sides}
        for _ in range(chosen.rounds):
            for side, done in times.items():
                child = ["benchmarks.evaluation", size, side, chosen.device]
                done.append(run_in_process(child, chosen.memory, chosen.timeout))
                print(f"{size:8} {side:24} {done[-1]}", flush=True)
        write_table(table, {"size": size, **SIZES[size]._asdict()}, times, chosen.device)


def one_implementation(size: str, side: str, device: str) -> None:
    vectors, labels = embeddings(SIZES[size], device)
    print(json.dumps(measured(partial(IMPLEMENTATIONS[side], vectors, labels), device)._asdict()))


if __name__ == "__main__":
    one_implementation(*sys.argv[1:])
