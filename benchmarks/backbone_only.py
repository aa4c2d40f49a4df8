"""The floor of a training step, and a stand-in for the backbone that leaves all but the floor.

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

EMBEDDINGS = 4096  # at most in a batch


class Table(nn.Module):
    """In the place of a backbone: embeddings that are parameters, whatever the images are.

    Args:
        embedding_dim: D.
        others: of the backbone; they do not matter.
    """

    def __init__(self, embedding_dim: int, **others: object) -> None:  # noqa: ARG002
        super().__init__()
        self.embeddings = nn.Parameter(torch.randn(EMBEDDINGS, embedding_dim))

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.embeddings[: len(images)], dim=1)


def lower_bound(config: DictConfig, rhythm: TimingWindows) -> Measured:
    """Forward, backward and optimizer of the backbone; the gradient at the embeddings is given.

    With `trainer.chunk_size` each chunk goes forward and backward once: nothing is embedded twice.
    """
    tune_malloc()  # as a run does
    fabric = build_fabric(config.trainer)
    seed_everything(config.seed, verbose=False)
    backbone = instantiate(config.backbone).to(memory_format=torch.channels_last)
    optimizer = instantiate(config.optimizer)(backbone.parameters())
    model, optimizer = fabric.setup(backbone, optimizer)
    model.train()
    size, pixels = config.sampler.batch_size, config.transform.crop
    at_once = config.trainer.chunk_size or size
    images = torch.randint(256, (size, 3, pixels, pixels), dtype=torch.uint8, device=fabric.device)
    gradient = torch.randn(size, config.backbone.embedding_dim, device=fabric.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        parts = zip(torch.split(images, at_once), torch.split(gradient, at_once), strict=True)
        for chunk, slopes in parts:
            fabric.backward((model(chunk) * slopes).sum())
        optimizer.step()

    seconds = rhythm.of(step, fabric.device)
    return Measured(seconds, None, peak_gib(fabric.device), {})


if __name__ == "__main__":
    rhythm = TimingWindows(*map(int, sys.argv[1:3]))
    print(json.dumps(lower_bound(compose_run(sys.argv[3:]), rhythm)._asdict()))
