"""Choice of the search backend: by what works and is fast on this machine, never by the numbers."""

import logging
import time
from functools import cache
from typing import Literal, get_args

import torch

from evaluation.search.faiss_knn import MAX_GPU_NEIGHBORS, is_working, unavailable_reason
from evaluation.search.space import full_precision
from evaluation.search.two_stage.low_precision import LowPrecisionProduct, round_points

log = logging.getLogger(__name__)

# `certified` is the earlier name of `two_stage`
Backend = Literal["auto", "torch", "two_stage", "certified", "faiss"]

FEW = 2**27  # similarities, from which bfloat16 saves more than it leaves open and the probe costs
PROBE = (128, 128, 8192)  # queries, dimensions and gallery of the product that is timed


def check_backend(backend: Backend, device: torch.device) -> None:
    """Raise a ValueError that says why there is no such search on the device."""
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be auto, torch, two_stage or faiss, got {backend!r}")
    if backend == "certified":
        warn_of_certified()
    if backend in ("two_stage", "certified") and device.type != "cpu":
        raise ValueError(f"backend two_stage searches on the CPU, the embeddings are on {device}")
    lacking = unavailable_reason(device) if backend == "faiss" else None
    if lacking:
        raise ValueError(f"backend faiss: {lacking}; auto takes the fastest there is")


@cache
def warn_of_certified() -> None:
    """Log one line per process for the earlier name of the two-stage search."""
    log.warning("evaluation.measure.backend=certified is deprecated, write two_stage")


def uses_two_stage(backend: Backend, device: torch.device) -> bool:
    """Whether the two-stage search is to be used, or is to finish what faiss began."""
    return backend != "torch" and device.type == "cpu"


def uses_faiss(backend: Backend, device: torch.device, k: int | None = None) -> bool:
    """Whether faiss is to search for the `k` nearest, or with None for ranks.

    `auto` asks it for neighbours on a GPU, where torch sorts whole rows.
    """
    if device.type == "cuda" and k is not None and k >= MAX_GPU_NEIGHBORS:
        return False
    fastest = device.type == "cuda" and k is not None and unavailable_reason(device) is None
    return (backend == "faiss" or (backend == "auto" and fastest)) and is_working(device)


def choose_precisions(num_similarities: int) -> tuple[torch.dtype, ...]:
    """Precisions for so many similarities on the CPU, in the order in which they are tried."""
    return measured_precisions() if num_similarities >= FEW else (torch.float32,)


@cache
def measured_precisions() -> tuple[torch.dtype, ...]:
    """Precisions on this CPU: bfloat16 first if its product is right and twice as fast."""
    num, dim, width = PROBE
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(width, dim, generator=generator)
    truth = points[:num].double() @ points.double().T
    seconds = {}
    for precision in (torch.bfloat16, torch.float32):
        low = round_points(points, precision)
        tried = LowPrecisionProduct(low, low, "cosine")
        out = torch.empty(num, width, dtype=precision)
        rows, times = torch.arange(num), []
        with full_precision(points.device):
            for _ in range(4):
                start = time.perf_counter()
                tried.similarity_bits(rows, out)
                times.append(time.perf_counter() - start)
        wrong = (out.double() - truth).abs() - tried.bound.relative * out.double().abs()
        holds = bool((wrong.numpy() <= tried.bound.error[:num, None]).all())
        seconds[precision] = min(times) if holds else float("inf")
    fast = seconds[torch.bfloat16] < seconds[torch.float32] / 2
    log.debug("products of the search take %s seconds", seconds)
    return (torch.bfloat16, torch.float32) if fast else (torch.float32,)
