"""The nearest neighbours by faiss, where it is installed and finds what it should.

faiss compares in float32: it finds what the other searches find unless two similarities differ by
less than float32 can tell.
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
from evaluation.search.space import Distance

log = logging.getLogger(__name__)

MAX_GPU_NEIGHBORS = 2048  # neighbours that faiss can find on a GPU
BYTES_PER_NEIGHBOR = 128  # per neighbour of a query, of all that is made of it


class FaissIndex:
    """Points to be searched, by the device they are on."""

    def __init__(self, gallery: Embeddings, distance: Distance) -> None:
        import faiss

        kind = faiss.IndexFlatIP if distance == "cosine" else faiss.IndexFlatL2
        self.index: Any = kind(gallery.shape[1])
        self.sign = 1 if distance == "cosine" else -1
        if gallery.is_cuda:
            self.resources = faiss.StandardGpuResources()  # has to live as long as the index
            device = gallery.device.index or 0
            self.index = faiss.index_cpu_to_gpu(self.resources, device, self.index)
        self.index.add(to_numpy(gallery))

    def __call__(self, queries: Embeddings, k: int) -> tuple[Any, Any]:
        """Similarities, the larger the nearer, and positions of the `k` nearest, nearest first."""
        values, places = self.index.search(to_numpy(queries), k)
        return self.sign * values, places


def to_numpy(points: Embeddings) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.ascontiguousarray(points.float().cpu().numpy())
    return found


def unavailable_reason(device: torch.device) -> str | None:
    """Why there is no faiss for this device; None if there is one, be it in order or not."""
    if find_spec("faiss") is None:
        return "faiss is not installed (pip install faiss-cpu)"
    if device.type == "cpu" or (device.type == "cuda" and supports_gpu()):
        return None
    return f"this faiss cannot search on {device.type} (pip install faiss-gpu-cu12)"


@cache
def supports_gpu() -> bool:
    try:
        import faiss
    except Exception:  # what is broken was not made for CPUs only
        return True
    return hasattr(faiss, "StandardGpuResources")


@cache
def is_working(device: torch.device) -> bool:
    """Whether a search finds what it should there; a warning says once what is wrong."""
    points = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).to(device)
    nearest = (points.double() @ points.double().T).topk(3).indices.cpu()
    try:
        found = torch.from_numpy(FaissIndex(points, "cosine")(points, 3)[1])
        wrong = "" if found.equal(nearest) else "it finds other neighbours than there are"
    except Exception as error:  # a broken installation raises anything
        wrong = f"{type(error).__name__}: {error}".splitlines()[0]
    if wrong:
        log.warning("faiss is broken on %s, another search takes its place: %s", device, wrong)
    return not wrong


def faiss_knn(  # the arguments of one search
    queries: Embeddings,
    gallery: Embeddings,
    k: int,
    self_index: Int[Tensor, " Q"],
    distance: Distance,
    memory: int,
) -> Int[Tensor, "Q k"]:
    """Positions of the `k` nearest gallery items, nearest first, the query itself last."""
    index, depth = FaissIndex(gallery, distance), min(k + 1, len(gallery))
    self_index_column = self_index.cpu().numpy()[:, None]

    def search(part: slice, _: Tensor) -> Tensor:
        values, places = index(queries[part], depth)
        values[places == self_index_column[part]] = -np.inf
        order = np.lexsort((places, -values))  # of equally near ones the first
        return torch.from_numpy(np.take_along_axis(places, order, axis=1)[:, :k])

    total, extra = len(queries), BYTES_PER_NEIGHBOR * depth
    parts = in_chunks(search, total, width=1, like=queries, memory=memory, extra=extra)
    return torch.cat([found for _, found in parts]).to(queries.device)
