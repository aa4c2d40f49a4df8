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

DEEPEST = 2048  # neighbours that faiss can find on a GPU
BYTES = 128  # per neighbour of a query, of all that is made of it


class Index:
    """Points to be searched, by the device they are on."""

    def __init__(self, gallery: Embeddings, distance: Distance) -> None:
        import faiss

        kind = faiss.IndexFlatIP if distance == "cosine" else faiss.IndexFlatL2
        self.index: Any = kind(gallery.shape[1])
        self.nearer = 1 if distance == "cosine" else -1
        if gallery.is_cuda:
            self.resources = faiss.StandardGpuResources()  # has to live as long as the index
            device = gallery.device.index or 0
            self.index = faiss.index_cpu_to_gpu(self.resources, device, self.index)
        self.index.add(numbers(gallery))

    def __call__(self, queries: Embeddings, k: int) -> tuple[Any, Any]:
        """Similarities, the larger the nearer, and positions of the `k` nearest, nearest first."""
        values, places = self.index.search(numbers(queries), k)
        return self.nearer * values, places


def numbers(points: Embeddings) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.ascontiguousarray(points.float().cpu().numpy())
    return found


def missing(device: torch.device) -> str | None:
    """Why there is no faiss for this device; None if there is one, be it in order or not."""
    if find_spec("faiss") is None:
        return "faiss is not installed (pip install faiss-cpu)"
    if device.type == "cpu" or (device.type == "cuda" and for_gpus()):
        return None
    return f"this faiss cannot search on {device.type} (pip install faiss-gpu-cu12)"


@cache
def for_gpus() -> bool:
    try:
        import faiss
    except Exception:  # what is broken was not made for CPUs only
        return True
    return hasattr(faiss, "StandardGpuResources")


@cache
def works(device: torch.device) -> bool:
    """Whether a search finds what it should there; a warning says once what is wrong."""
    points = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).to(device)
    nearest = (points.double() @ points.double().T).topk(3).indices.cpu()
    try:
        found = torch.from_numpy(Index(points, "cosine")(points, 3)[1])
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
    itself: Int[Tensor, " Q"],
    distance: Distance,
    memory: int,
) -> Int[Tensor, "Q k"]:
    """Positions of the `k` nearest gallery items, nearest first, the query itself last."""
    index, depth = Index(gallery, distance), min(k + 1, len(gallery))
    owners = itself.cpu().numpy()[:, None]

    def search(part: slice, _: Tensor) -> Tensor:
        values, places = index(queries[part], depth)
        values[places == owners[part]] = -np.inf
        order = np.lexsort((places, -values))  # of equally near ones the first
        return torch.from_numpy(np.take_along_axis(places, order, axis=1)[:, :k])

    total, extra = len(queries), BYTES * depth
    parts = in_chunks(search, total, width=1, like=queries, memory=memory, extra=extra)
    return torch.cat([found for _, found in parts]).to(queries.device)
