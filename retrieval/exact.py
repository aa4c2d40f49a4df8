"""Exact index: compares a query with every image."""

from dataclasses import dataclass
from typing import Any, ClassVar

import faiss

from retrieval.kind import Ids, ImageIndexError, Vectors


@dataclass(frozen=True)
class Exact:
    """Exact index: compares a query with every image, and finds the true neighbours.

    It stores the embeddings themselves, 4 D + 8 bytes per image.
    """

    name: ClassVar[str] = "exact"
    is_exact: ClassVar[bool] = True

    def num_training(self, count: int) -> int:  # noqa: ARG002
        return 0

    def make(self, dim: int, count: int, sample: Vectors) -> Any:  # noqa: ANN401, ARG002
        return faiss.IndexIDMap(faiss.IndexFlatIP(dim))

    def add(self, index: Any, vectors: Vectors, ids: Ids) -> None:  # noqa: ANN401
        index.add_with_ids(vectors, ids)

    def remove(self, index: Any, ids: Ids) -> None:  # noqa: ANN401
        index.remove_ids(ids)

    def num_stored(self, count: int, next_id: int) -> int:  # noqa: ARG002
        return count

    def with_effort(self, effort: int) -> "Exact":
        raise ImageIndexError(f"effort={effort}: an exact index always compares all images")

    def search_parameters(self, selector: Any) -> Any:  # noqa: ANN401
        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]

    def read(self, path: str) -> Any:  # noqa: ANN401
        return faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)
