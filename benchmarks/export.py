"""Benchmark of exported backbones: largest difference from torch, size of the file and CPU time.

Every backbone has random weights with a fixed seed and is exported in each format; the file is
loaded again and embeds the same random images as the backbone itself. The CPU seconds of a batch
are taken in turn with those of torch, and their ratio is the median over the rounds. No run is
needed; `python -m scripts.export` makes the same comparison for a run, on its test images.
"""

import argparse
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from core.files import write_text_atomically
from engine.config.compose import compose_run
from engine.export.inference_network import export_program
from engine.export.onnx import OnnxNetwork, check_packages, quantize_int8, save_onnx
from engine.export.parity import largest_difference, random_batches
from engine.export.pt2 import Pt2Network, save_pt2
from tracking.environment import cpu_name

FORMATS = ("pt2", "onnx", "onnx int8")
NUM_IMAGES, BATCH = 7, 4
PACKAGES = ("torch", "onnx", "onnxruntime")


class Backbone(NamedTuple):
    """A backbone: overrides of a run, and the side of its images in pixels."""

    overrides: tuple[str, ...]
    side: int


BACKBONES = {
    "resnet50": Backbone(("backbone=resnet50",), 224),
    "bninception": Backbone(("backbone=bninception",), 224),
    "googlenet": Backbone(("backbone=googlenet",), 224),
    "convnet": Backbone(("backbone=convnet",), 28),
    "efficientnet_lite0": Backbone(("backbone=efficientnet_lite0",), 224),
    "vit_tiny_patch16_224": Backbone(
        ("backbone=timm", "backbone.model_name=vit_tiny_patch16_224"), 224
    ),
}


def build(backbone: Backbone) -> nn.Module:
    """The backbone in evaluation mode with random weights, always the same ones.

    The statistics of BatchNorm are those of a batch of random images, so that activations have the
    sizes that they have in a trained network.
    """
    config = compose_run([*backbone.overrides, "backbone.batchnorm=trained"]).backbone
    if "pretrained" in config:
        config.pretrained = False
    torch.manual_seed(0)
    network: nn.Module = instantiate(config)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean over all batches, of which there is one
    with torch.no_grad():
        network.train()(images_of(backbone)[0])
    return network.eval()


def images_of(backbone: Backbone) -> list[Tensor]:
    """Two batches of random images, the second one smaller."""
    images, _ = random_batches((3, backbone.side, backbone.side))[0]
    return list(torch.split(images[:NUM_IMAGES], BATCH))


def write(network: nn.Module, side: int, folder: Path) -> Iterator[tuple[str, Path, nn.Module]]:
    """Write each format, load it again, and yield its name, file and network."""
    program = export_program(network, (3, side, side))
    pt2, onnx, int8 = (folder / name for name in ("model.pt2", "model.onnx", "model_int8.onnx"))
    with pt2.open("wb") as file:
        save_pt2(program, file)
    with onnx.open("wb") as file:
        save_onnx(program, file, {})
    with int8.open("wb") as file:
        quantize_int8(onnx, file)
    for name, path in zip(FORMATS, (pt2, onnx, int8), strict=True):
        yield name, path, Pt2Network(path) if path == pt2 else OnnxNetwork(path)


@torch.inference_mode()
def compare(name: str, rounds: int) -> Iterator[dict[str, Any]]:
    """One row per format of a backbone."""
    backbone = BACKBONES[name]
    network, batches = build(backbone), images_of(backbone)
    expected = torch.cat([network(images) for images in batches])
    weights = sum(parameter.numel() for parameter in network.parameters())
    with TemporaryDirectory() as folder:
        for kind, path, exported in write(network, backbone.side, Path(folder)):
            embeddings = torch.cat([exported(images) for images in batches])
            yield {
                "backbone": name,
                "weights": weights,
                "side": backbone.side,
                "format": kind,
                "megabytes": round(path.stat().st_size / 1e6, 1),
                "largest_difference": f"{largest_difference(expected, embeddings):.1e}",
                "smallest_cosine": f"{(expected * embeddings).sum(1).min():.6f}",
                "cpu_time_over_torch": f"{time_ratio(exported, network, batches[0], rounds):.2f}",
            }


def time_ratio(exported: nn.Module, network: nn.Module, images: Tensor, rounds: int) -> float:
    """Median of the ratios of CPU seconds of two networks that take turns; one round warms up."""
    ratios = []
    for _ in range(rounds + 1):
        seconds = [cpu_seconds(one, images) for one in (exported, network)]
        ratios.append(seconds[0] / seconds[1])
    return median(ratios[1:])


def cpu_seconds(network: nn.Module, images: Tensor) -> float:
    """CPU seconds of all threads of this process for a batch."""
    start = time.process_time()
    network(images)
    return time.process_time() - start


def add_to(subjects: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subjects.add_parser("export", help="exported backbones beside torch")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder")
    every = list(BACKBONES)
    parser.add_argument("--backbones", nargs="+", choices=every, default=every, help="to compare")
    parser.add_argument("--rounds", type=int, default=5, help="of file and torch, in turn")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> None:
    check_packages()
    rows: list[dict[str, Any]] = []
    path = chosen.out / "export_cpu.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"hardware": cpu_name(), **{name: version(name) for name in PACKAGES}}
    for name in chosen.backbones:
        for row in compare(name, chosen.rounds):
            rows.append(row | machine)
            print(*row.values(), flush=True)
        write_text_atomically(path, pd.DataFrame(rows).to_csv(index=False))
    print(summary(pd.read_csv(path, dtype=str)))


def summary(table: pd.DataFrame) -> str:
    """Markdown table of the differences, the sizes and the ratios of CPU time."""
    columns = {
        "backbone": "backbone",
        "format": "format",
        "largest_difference": "largest difference of a component",
        "smallest_cosine": "smallest cosine similarity",
        "megabytes": "MB",
        "cpu_time_over_torch": "CPU time, torch = 1",
    }
    lines = ["| " + " | ".join(columns.values()) + " |", "|---" * 2 + "|---:" * 4 + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table[list(columns)].to_numpy().tolist()]
    return "\n".join(lines)
