"""k-NN search by faiss, if it is installed and works.

faiss compares in float32: its neighbours differ from those of the other searches only if two
similarities are equal up to float32 rounding.
"""

import logging
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor

from core.types import Embeddings
from evaluation.search.chunks import in_chunks
from evaluation.search.ignored_items import IgnoredItems
from evaluation.search.space import Distance

log = logging.getLogger(__name__)

MAX_GPU_NEIGHBORS = 2048  # neighbours that faiss can find on a GPU
BYTES_PER_NEIGHBOR = 128  # memory per neighbour of a query for the results and their processing


class FaissIndex:
    """Faiss index: searches the gallery on the device of its points."""

    def __init__(self, gallery: Embeddings, distance: Distance) -> None:
        import faiss

        index_type = faiss.IndexFlatIP if distance == "cosine" else faiss.IndexFlatL2
        self.index: Any = index_type(gallery.shape[1])
        self.sign = 1 if distance == "cosine" else -1
        if gallery.is_cuda:
            self.resources = faiss.StandardGpuResources()  # must live as long as the index
            device = gallery.device.index or 0
            self.index = faiss.index_cpu_to_gpu(self.resources, device, self.index)
        self.index.add(to_numpy(gallery))

    def __call__(self, queries: Embeddings, k: int) -> tuple[Any, Any]:
        """Similarities (larger is nearer) and positions of the `k` nearest, nearest first."""
        values, positions = self.index.search(to_numpy(queries), k)
        return self.sign * values, positions


def to_numpy(points: Embeddings) -> NDArray[np.float32]:
    """The points as a contiguous float32 array."""
    array: NDArray[np.float32] = np.ascontiguousarray(points.float().cpu().numpy())
    return array


def unavailable_reason(device: torch.device) -> str | None:
    """Why faiss cannot search on this device; None if it is installed, even if it is broken."""
    if find_spec("faiss") is None:
        return "faiss is not installed (pip install faiss-cpu)"
    if device.type == "cpu" or (device.type == "cuda" and supports_gpu()):
        return None
    return f"this faiss cannot search on {device.type} (pip install faiss-gpu-cu12)"


@cache
def supports_gpu() -> bool:
    """Whether the installed faiss is a GPU build; a broken installation counts as one."""
    try:
        import faiss
    except Exception:
        return True
    return hasattr(faiss, "StandardGpuResources")


@cache
def is_working(device: torch.device) -> bool:
    """Whether a small search on the device is correct; logs a warning once if it is not."""
    points = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).to(device)
    nearest = (points.double() @ points.double().T).topk(3).indices.cpu()
    try:
        positions = torch.from_numpy(FaissIndex(points, "cosine")(points, 3)[1])
        problem = "" if positions.equal(nearest) else "it finds other neighbours than there are"
    except Exception as error:  # a broken installation can raise any exception
        problem = f"{type(error).__name__}: {error}".splitlines()[0]
    if problem:
        log.warning("faiss is broken on %s, another search takes its place: %s", device, problem)
    return not problem


def faiss_knn(
    queries: Embeddings,
    gallery: Embeddings,
    k: int,
    ignored: IgnoredItems,
    distance: Distance,
    memory: int,
) -> Int[Tensor, "Q k"]:
    """Positions of the `k` nearest gallery items, nearest first, ignored items last."""
    index, depth = FaissIndex(gallery, distance), min(k + ignored.most, len(gallery))
    query_group = ignored.query_group.cpu().numpy()[:, None]
    gallery_group = ignored.gallery_group.cpu().numpy()

    def search(part: slice, _: Tensor) -> Tensor:
        values, positions = index(queries[part], depth)
        values[gallery_group[positions] == query_group[part]] = -np.inf
        order = np.lexsort((positions, -values))  # at equal distance, the lower position first
        return torch.from_numpy(np.take_along_axis(positions, order, axis=1)[:, :k])

    total, extra = len(queries), BYTES_PER_NEIGHBOR * depth
    parts = in_chunks(search, total, width=1, like=queries, memory=memory, extra=extra)
    return torch.cat([nearest for _, nearest in parts]).to(queries.device)
