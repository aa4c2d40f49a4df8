"""Lower bound of a training step, and a dummy backbone that costs nothing.

python -m benchmarks.backbone_only <steps> <windows> <overrides>
"""

import json
import sys

import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from lightning_fabric import seed_everything
from omegaconf import DictConfig
from torch import Tensor, nn

from benchmarks.implementation import Measured
from benchmarks.throughput import TimingWindows, peak_gib
from engine.build import build_fabric
from engine.config.compose import compose_run
from engine.malloc import tune_malloc

EMBEDDINGS = 4096  # largest batch size


class Table(nn.Module):
    """Dummy backbone: its embeddings are parameters and do not depend on the images.

    Args:
        embedding_dim: D.
        others: arguments of a real backbone; ignored.
    """

    def __init__(self, embedding_dim: int, **others: object) -> None:  # noqa: ARG002
        super().__init__()
        self.embeddings = nn.Parameter(torch.randn(EMBEDDINGS, embedding_dim))

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.embeddings[: len(images)], dim=1)


def lower_bound(config: DictConfig, timing: TimingWindows) -> Measured:
    """Time of forward, backward and optimizer step of the backbone, with a fixed gradient.

    With `trainer.chunk_size` each chunk goes forward and backward once; nothing is embedded again.
    """
    tune_malloc()  # as a run does
    fabric = build_fabric(config.trainer)
    seed_everything(config.seed, verbose=False)
    backbone = instantiate(config.backbone).to(memory_format=torch.channels_last)
    optimizer = instantiate(config.optimizer)(backbone.parameters())
    model, optimizer = fabric.setup(backbone, optimizer)
    model.train()
    size, pixels = config.sampler.batch_size, config.transform.crop
    chunk_size = config.trainer.chunk_size or size
    images = torch.randint(256, (size, 3, pixels, pixels), dtype=torch.uint8, device=fabric.device)
    gradient = torch.randn(size, config.backbone.embedding_dim, device=fabric.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        parts = zip(torch.split(images, chunk_size), torch.split(gradient, chunk_size), strict=True)
        for chunk, chunk_gradient in parts:
            fabric.backward((model(chunk) * chunk_gradient).sum())
        optimizer.step()

    seconds = timing.of(step, fabric.device)
    return Measured(seconds, None, peak_gib(fabric.device), {})


if __name__ == "__main__":
    timing = TimingWindows(*map(int, sys.argv[1:3]))
    print(json.dumps(lower_bound(compose_run(sys.argv[3:]), timing)._asdict()))
