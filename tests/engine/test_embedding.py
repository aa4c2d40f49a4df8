"""Every image is embedded once, by however many processes, while the next ones are read."""

import json
import os
import subprocess
import sys
import time
from multiprocessing import Value
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import Dataset

from engine.embed_split import embed_split

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from engine.embed_split import embed_split
from engine.build import shutdown
from engine.measure import measure

class Numbers(torch.utils.data.Dataset):
    on_device = in_memory = False
    def __init__(self, total):
        self.total, self.roles, self.categories = total, (None, None), None
    def __len__(self):
        return self.total
    def __getitem__(self, index):
        return torch.tensor([float(index), 1.0]), index // 2

class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.norm = nn.BatchNorm1d(2, affine=False)  # its buffers are communicated
        self.seen = 0
    def forward(self, images):
        self.seen += len(images)
        return self.scale * images + 0 * self.norm(images)

processes = int(sys.argv[2])
fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp")
fabric.launch()
found = {}
for total in (1, 2, 7, 9):
    model = Embedder()
    embeddings, labels = embed_split(fabric, fabric.setup_module(model), Numbers(total), 2, 0)
    found[total] = [embeddings.tolist(), labels.tolist(), model.seen]
model = fabric.setup_module(Embedder())
who = measure(fabric, model, {"test": Numbers(5)}, lambda *_: {"by": fabric.global_rank}, 2, 0)
assert who == {"test/by": 0}  # and every process knows
Path(sys.argv[1], f"{fabric.global_rank}.json").write_text(json.dumps(found))
shutdown(fabric)
"""


@pytest.mark.extended
@pytest.mark.parametrize("processes", [2, 3])
def test_each_image_counts_once_and_in_its_place(processes: int, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path), str(processes)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for rank in range(processes):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        for total, (embeddings, labels, seen) in found.items():
            assert embeddings == [[2.0 * index, 2.0] for index in range(int(total))]
            assert labels == [index // 2 for index in range(int(total))]
            assert seen == -(-int(total) // processes)  # and the work was shared


class Counted(Dataset[tuple[Tensor, int]]):
    """Counts the images that were read, in whatever process."""

    on_device = in_memory = False

    def __init__(self, total: int) -> None:
        self.total, self.read = total, Value("i", 0)

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with self.read.get_lock():
            self.read.value += 1
        return torch.tensor([float(index)]), index


class Patient(nn.Module):
    """Computes until the images of the next batch were read, which nobody does but workers."""

    def __init__(self, images: Counted) -> None:
        super().__init__()
        self.images, self.computed = images, 0

    def forward(self, images: Tensor) -> Tensor:
        self.computed += len(images)
        wanted = min(self.computed + len(images), self.images.total)
        deadline = time.monotonic() + 60
        while self.images.read.value < wanted:
            assert time.monotonic() < deadline, "nothing is read while the model computes"
            time.sleep(0.01)
        return images


def test_the_next_images_are_read_while_the_model_computes() -> None:
    images = Counted(12)
    fabric: Any = Fabric(accelerator="cpu", devices=1)
    embeddings, labels = embed_split(fabric, Patient(images), images, 3, num_workers=1)
    assert embeddings.flatten().tolist() == labels.tolist() == list(range(12))
    assert images.read.value == 12
