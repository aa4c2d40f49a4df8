"""Contexts of hooks without a run."""

from pathlib import Path
from typing import Any

from torch import nn

from engine.hooks.hook import HookContext


def context(step: int = 0, folder: Path = Path(), **values: object) -> HookContext:
    """A context at a step; `values` replace its other fields."""
    fields: dict[str, Any] = {
        "epoch": step / 10,
        "total_steps": 100,
        "model": nn.Identity(),
        "criterion": nn.Identity(),
        "directions": {"recall@1": True, "dists@intra": False, "mean_norm": None},
    }
    return HookContext(step=step, folder=folder, **{**fields, **values})
