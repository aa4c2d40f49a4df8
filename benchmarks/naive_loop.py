"""Naive training loop, as research code often has it: a baseline for the training benchmark.

    python -m benchmarks.naive_loop <steps> <windows> <overrides>

PIL and torchvision decode and normalise in the workers; a NumPy miner loops over the anchors; the
loss and the gradient norm of every parameter are copied to the host at each step. Backbone,
optimizer, batch size, precision and number of workers are those of the overrides.
"""

import json
import sys
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from lightning_fabric import seed_everything
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from benchmarks.implementation import Measured
from benchmarks.throughput import TimingWindows, peak_gib
from datasets.table import Table
from engine.build import load_table
from engine.config.compose import compose_run
from engine.data.loader import worker_count

DRAW = np.random.default_rng(0)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class AugmentedImages(Dataset[tuple[int, Tensor]]):
    """Training images, augmented and normalised to about unit variance."""

    def __init__(self, table: Table, crop: int) -> None:
        self.paths = table["path"].tolist()
        self.labels = table["label"].astype("category").cat.codes.tolist()
        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop(crop),
                v2.RandomHorizontalFlip(),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, DEVIATION),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        with Image.open(self.paths[index]) as image:
            return self.labels[index], self.transform(image.convert("RGB"))


class Balanced:
    """Endless batches of `per_class` images of each of `batch_size / per_class` classes."""

    def __init__(self, labels: list[int], batch_size: int, per_class: int) -> None:
        self.labels, self.batch_size, self.per_class = np.array(labels), batch_size, per_class

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            classes = DRAW.permutation(self.labels.max() + 1)[: self.batch_size // self.per_class]
            yield [
                int(index)
                for label in classes
                for index in DRAW.choice(
                    np.flatnonzero(self.labels == label), self.per_class, False
                )
            ]


def triplets_of(embeddings: Tensor, labels: Tensor) -> list[tuple[int, int, int]]:
    """Distance-weighted mining: a random positive and one weighted negative for each anchor."""
    points, classes = embeddings.detach().float().cpu().numpy(), labels.cpu().numpy()
    distances = np.sqrt(np.clip(2 - 2 * points @ points.T, 0, None)).clip(0.5, 1.4)
    dim = points.shape[1]
    found = []
    for anchor in range(len(points)):
        log_density = (dim - 2) * np.log(distances[anchor]) + (dim - 3) / 2 * np.log(
            1 - distances[anchor] ** 2 / 4
        )
        odds = np.exp(log_density.min() - log_density) * (classes != classes[anchor])
        positives = [i for i in np.flatnonzero(classes == classes[anchor]) if i != anchor]
        negative = DRAW.choice(len(points), p=odds / odds.sum())
        found.append((anchor, int(DRAW.choice(positives)), int(negative)))
    return found


def margin_loss(embeddings: Tensor, triplets: list[tuple[int, int, int]], beta: Tensor) -> Tensor:
    anchors, positives, negatives = (embeddings[list(part)] for part in zip(*triplets, strict=True))
    near = F.relu(F.pairwise_distance(anchors, positives) - beta + 0.2)
    far = F.relu(beta - F.pairwise_distance(anchors, negatives) + 0.2)
    return (near.sum() + far.sum()) / max(int((near > 0).sum() + (far > 0).sum()), 1)


def train(config: DictConfig, timing: TimingWindows) -> Measured:
    seed_everything(config.seed, verbose=False)
    trainer, sampler = config.trainer, config.sampler
    device = torch.device(trainer.accelerator)
    table = load_table(config)
    images = AugmentedImages(table[table.split == "train"], config.transform.crop)
    loader = DataLoader(
        images,
        batch_sampler=Balanced(images.labels, sampler.batch_size, sampler.samples_per_class),
        num_workers=worker_count(trainer.workers),
        pin_memory=device.type == "cuda",
    )
    backbone = instantiate(config.backbone)
    backbone.normalization = nn.Identity()  # done in the workers
    backbone.to(device).train()
    beta = nn.Parameter(torch.tensor(1.2, device=device))
    optimizer = torch.optim.Adam([*backbone.parameters(), beta], config.optimizer.lr)
    half = torch.autocast(device.type, torch.bfloat16, enabled=trainer.precision == "bf16-mixed")
    batches = iter(loader)

    def step() -> None:
        labels, batch = next(batches)
        with half:
            embeddings = backbone(batch.to(device))
        triplets = triplets_of(embeddings, labels)
        loss = margin_loss(embeddings, triplets, beta)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        norms = [p.grad.norm().item() for p in backbone.parameters() if p.grad is not None]
        history.append((loss.item(), float(np.linalg.norm(norms))))
        optimizer.step()

    history: list[tuple[float, float]] = []
    seconds = timing.of(step, device)
    return Measured(seconds, None, peak_gib(device), {"loss": history[-1][0]})


if __name__ == "__main__":
    timing = TimingWindows(*map(int, sys.argv[1:3]))
    print(json.dumps(train(compose_run(sys.argv[3:]), timing)._asdict()))
