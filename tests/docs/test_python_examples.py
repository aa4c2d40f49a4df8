"""The lines of Python that pages show work without a change."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from docs.components import ROOT, choices
from docs.generate_pages import python_use

PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
PAGES = ["README.md", "docs/index.md"]
LOAD = "from engine.load import load"  # tests/engine/test_load.py executes it


def run(lines: str) -> list[Tensor]:
    """The values of the lines that are a call of a loss, after all the others were executed."""
    torch.manual_seed(0)
    size, num_classes = 128, 100
    names = {
        "embeddings": torch.randn(12, size, requires_grad=True),
        "labels": torch.arange(4).repeat(3) % num_classes,
    }
    if "loss = " not in lines and "loss, miner = " not in lines:
        lines = f"from criteria.triplet import TripletMargin\nloss = TripletMargin()\n{lines}"
    found: list[Tensor] = []
    for line in lines.splitlines():
        if line.startswith("loss("):
            found.append(eval(line, names))
        else:
            exec(line, names)
    return found


def check(values: list[Tensor]) -> None:
    assert values
    for value in values:
        assert value.ndim == 0
        assert value.isfinite()
        assert value.requires_grad


@pytest.mark.parametrize("page", PAGES)
def test_the_losses_and_miners_of_a_page_work(page: str) -> None:
    blocks = [b for b in PYTHON.findall((ROOT / Path(page)).read_text()) if LOAD not in b]
    assert blocks
    for block in blocks:
        check(run(block))


@pytest.mark.parametrize("group", ["loss", "batchminer"])
def test_the_python_of_a_generated_page_works(group: str, subtests: pytest.Subtests) -> None:
    for choice in choices(group):
        if block := python_use(choice):
            with subtests.test(choice.name):
                (lines,) = PYTHON.findall(block)
                check(run(lines))
