"""A compiled backbone trains as the plain one does, and its parameters keep their names."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
from functools import partial

import torch
from lightning_fabric import Fabric, seed_everything
from torch import nn

from engine.learner import set_up

torch.compile = partial(torch.compile, backend="aot_eager")  # all but the C++ compiler's minute


def trained(compiled):
    seed_everything(0, verbose=False)
    conv, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
    trunk = nn.Sequential(conv, norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    learner = set_up(
        Fabric(accelerator="cpu", devices=1),
        nn.Sequential(trunk, nn.Flatten(), nn.Linear(4, 2)),
        Spread(),
        partial(torch.optim.Adam, lr=0.01),
        partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0),
        head_lr=None,
        max_grad_norm=None,
        compiled=compiled,
    )
    draw = torch.Generator().manual_seed(1)
    batches = [(torch.randn(6, 3, 8, 8, generator=draw), torch.arange(6)) for _ in range(3)]
    learner.train_mode()
    losses = [learner.step(batch).measured["train/loss"] for batch in batches]
    return learner.model.state_dict() | {"losses": torch.stack(losses)}


class Spread(nn.Module):
    def forward(self, embeddings, labels):
        return (embeddings - embeddings.mean(dim=0)).square().mean()


torch._dynamo.utils.counters.clear()
plain, compiled = trained(False), trained(True)
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
assert list(plain) == list(compiled)
for name, expected in plain.items():
    torch.testing.assert_close(compiled[name], expected, rtol=1e-4, atol=1e-5, msg=name)
print("the same")
"""


def test_compiling_changes_what_is_rounded_away_only(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "the same\n", done.stderr
