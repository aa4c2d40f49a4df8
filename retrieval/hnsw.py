"""HNSW index: follows a graph from image to image towards the neighbours of a query.

Malkov & Yashunin 2020, "Efficient and Robust Approximate Nearest Neighbor Search Using
Hierarchical Navigable Small World Graphs", https://arxiv.org/abs/1603.09320.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import faiss

from core.ranges import PositiveInt
from retrieval.kind import Ids, Vectors


@dataclass(frozen=True)
class HNSW:
    """HNSW index: follows a graph from image to image towards the neighbours of a query.

    It stores the embeddings and 2 m links, 4 D + 8 m bytes per image. A removed image stays in the
    graph, which would fall apart without it, and is left out of every answer; an index that is
    built anew is free of it.

    Args:
        m: links of an image on each level but the lowest, which has 2 m; more find more neighbours
            and need more memory.
        ef_construction: images that are compared to place one in the graph; more make a better
            graph, more slowly.
        ef_search: images that a search keeps as candidates; more find more neighbours, more slowly.
    """

    name: ClassVar[str] = "hnsw"
    is_exact: ClassVar[bool] = False
    m: PositiveInt = 32
    ef_construction: PositiveInt = 200
    ef_search: PositiveInt = 128

    def num_training(self, count: int) -> int:  # noqa: ARG002
        return 0

    def make(self, dim: int, count: int, sample: Vectors) -> Any:  # noqa: ANN401, ARG002
        index = faiss.IndexHNSWFlat(dim, self.m, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = self.ef_construction
        return index

    def add(self, index: Any, vectors: Vectors, ids: Ids) -> None:  # noqa: ANN401
        assert ids[0] == index.ntotal  # the ids of this index are positions
        index.add(vectors)

    def remove(self, index: Any, ids: Ids) -> None:  # noqa: ANN401
        """Keep the vectors: other images are found through them."""

    def num_stored(self, count: int, next_id: int) -> int:  # noqa: ARG002
        return next_id

    def with_effort(self, effort: int) -> "HNSW":
        return replace(self, ef_search=effort)

    def search_parameters(self, selector: Any) -> Any:  # noqa: ANN401
        parameters: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]
        return parameters(efSearch=self.ef_search, sel=selector)

    def read(self, path: str) -> Any:  # noqa: ANN401
        return faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
