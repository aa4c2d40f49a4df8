"""Search backend: chooses the fastest search that works on this machine."""

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

LOW_PRECISION_FROM = 2**27  # similarities from which bfloat16 saves more time than its probe costs
PROBE = (128, 128, 8192)  # queries, dimensions and gallery size of the timed product


def check_backend(backend: Backend, device: torch.device) -> None:
    """Raise a ValueError with the reason unless the backend works on the device."""
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be auto, torch, two_stage or faiss, got {backend!r}")
    if backend == "certified":
        warn_of_certified()
    if backend in ("two_stage", "certified") and device.type != "cpu":
        raise ValueError(f"backend two_stage searches on the CPU, the embeddings are on {device}")
    reason = unavailable_reason(device) if backend == "faiss" else None
    if reason:
        raise ValueError(f"backend faiss: {reason}; auto takes the fastest there is")


@cache
def warn_of_certified() -> None:
    """Log one deprecation line per process for the earlier name of the two-stage search."""
    log.warning("evaluation.measure.backend=certified is deprecated, write two_stage")


def uses_two_stage(backend: Backend, device: torch.device) -> bool:
    """Whether the two-stage search is used, or ranks the queries that faiss leaves open."""
    return backend != "torch" and device.type == "cpu"


def uses_faiss(backend: Backend, device: torch.device, k: int | None = None) -> bool:
    """Whether faiss searches for the `k` nearest neighbours, or for ranks if `k` is None.

    `auto` uses faiss for neighbours on a GPU, where the torch search sorts complete rows.
    """
    if device.type == "cuda" and k is not None and k >= MAX_GPU_NEIGHBORS:
        return False
    fastest = device.type == "cuda" and k is not None and unavailable_reason(device) is None
    return (backend == "faiss" or (backend == "auto" and fastest)) and is_working(device)


def choose_precisions(num_similarities: int) -> tuple[torch.dtype, ...]:
    """Precisions of the two-stage search for this number of similarities, in order of use."""
    return measured_precisions() if num_similarities >= LOW_PRECISION_FROM else (torch.float32,)


@cache
def measured_precisions() -> tuple[torch.dtype, ...]:
    """Precisions for this CPU: bfloat16 first if its product is accurate and twice as fast."""
    num, dim, width = PROBE
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(width, dim, generator=generator)
    exact = points[:num].double() @ points.double().T
    seconds = {}
    for precision in (torch.bfloat16, torch.float32):
        rounded = round_points(points, precision)
        product = LowPrecisionProduct(rounded, rounded, "cosine")
        out = torch.empty(num, width, dtype=precision)
        rows, durations = torch.arange(num), []
        with full_precision(points.device):
            for _ in range(4):
                start = time.perf_counter()
                product.similarity_bits(rows, out)
                durations.append(time.perf_counter() - start)
        error = (out.double() - exact).abs() - product.bound.relative * out.double().abs()
        bound_holds = bool((error.numpy() <= product.bound.error[:num, None]).all())
        seconds[precision] = min(durations) if bound_holds else float("inf")
    is_faster = seconds[torch.bfloat16] < seconds[torch.float32] / 2
    log.debug("seconds per matrix product of the search: %s", seconds)
    return (torch.bfloat16, torch.float32) if is_faster else (torch.float32,)
