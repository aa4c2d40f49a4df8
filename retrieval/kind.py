"""Kind of an index: what it stores of an embedding, and what a query is compared with."""

from typing import Any, ClassVar, Protocol

import numpy as np
from jaxtyping import Float32, Int64

from core.errors import UserError

Vectors = Float32[np.ndarray, "N D"]  # of length one
Ids = Int64[np.ndarray, " N"]


class ImageIndexError(UserError):
    """Image index error: an index is missing or damaged, or cannot do what is asked."""


class Kind(Protocol):
    """Kind of an index; its fields are the numbers that conf/index/ sets.

    Similarities are inner products of unit vectors, the cosine. `Any` is an index of faiss.
    """

    name: ClassVar[str]
    is_exact: ClassVar[bool]  # whether it finds the true neighbours

    def num_training(self, count: int) -> int:
        """Number of embeddings, out of `count`, that `make` learns from; 0 if it needs none."""

    def make(self, dim: int, count: int, sample: Vectors) -> Any:  # noqa: ANN401
        """An empty index for `count` embeddings of `dim` dimensions."""

    def add(self, index: Any, vectors: Vectors, ids: Ids) -> None:  # noqa: ANN401
        """Add vectors under ids that continue those that were given before."""

    def remove(self, index: Any, ids: Ids) -> None:  # noqa: ANN401
        """Remove vectors, where the kind can; a search leaves out those that it cannot remove."""

    def num_stored(self, count: int, next_id: int) -> int:
        """Number of vectors in an index of `count` images to which `next_id` were ever added."""

    def with_effort(self, effort: int) -> "Kind":
        """The same kind with another effort of a search, see conf/search.yaml."""

    def search_parameters(self, selector: Any) -> Any:  # noqa: ANN401
        """The parameters of a search among the ids of a selector of faiss; None means all ids."""

    def read(self, path: str) -> Any:  # noqa: ANN401
        """The index in a file, mapped into memory: pages are read when a search needs them."""
