"""Who searches: chosen by what works and is fast on this machine, never by the numbers."""

import logging
import time
from functools import cache
from typing import Literal

import torch

from evaluation.screen import Screen, rounded
from evaluation.space import full_precision

log = logging.getLogger(__name__)

Backend = Literal["auto", "torch", "certified"]

FEW = 2**27  # similarities, from which bfloat16 saves more than it leaves open and the probe costs
PROBE = (128, 128, 8192)  # queries, dimensions and gallery of the product that is timed


def certifies(backend: Backend, device: torch.device) -> bool:
    """Whether the certified search is to be used, which runs on the CPU only."""
    if backend not in ("auto", "torch", "certified"):
        raise ValueError(f"backend must be auto, torch or certified, got {backend!r}")
    if backend == "certified" and device.type != "cpu":
        raise ValueError(f"backend certified searches on the CPU, the embeddings are on {device}")
    return backend != "torch" and device.type == "cpu"


def precisions(num_similarities: int) -> tuple[torch.dtype, ...]:
    """What to screen so many similarities in, on the CPU; the last one decides all."""
    return fast_precisions() if num_similarities >= FEW else (torch.float32,)


@cache
def fast_precisions() -> tuple[torch.dtype, ...]:
    """What to screen in on this CPU: bfloat16 first if its product is right and twice as fast."""
    num, dim, width = PROBE
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(width, dim, generator=generator)
    truth = points[:num].double() @ points.double().T
    seconds = {}
    for precision in (torch.bfloat16, torch.float32):
        low = rounded(points, precision)
        tried = Screen(low, low, "cosine")
        out = torch.empty(num, width, dtype=precision)
        rows, times = torch.arange(num), []
        with full_precision(points.device):
            for _ in range(4):
                start = time.perf_counter()
                tried.similarities(rows, out)
                times.append(time.perf_counter() - start)
        wrong = (out.double() - truth).abs() - tried.relative * out.double().abs()
        holds = bool((wrong.numpy() <= tried.error[:num, None]).all())
        seconds[precision] = min(times) if holds else float("inf")
    fast = seconds[torch.bfloat16] < seconds[torch.float32] / 2
    log.debug("products of the search take %s seconds", seconds)
    return (torch.bfloat16, torch.float32) if fast else (torch.float32,)
