"""IVF-PQ index: compares a query with compressed embeddings of the clusters nearest to it.

Jégou et al. 2011, "Product Quantization for Nearest Neighbor Search",
https://doi.org/10.1109/TPAMI.2010.57.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import faiss

from core.ranges import PositiveInt
from retrieval.kind import Ids, ImageIndexError, Vectors

CODES = 256  # centres of one part of an embedding, which a byte tells apart
PER_CENTRE = 39  # embeddings that faiss wants for each centre that it learns
SAMPLE_PER_LIST = 50  # the guidelines of faiss name 30 to 256
SAMPLE_PER_CODE = 256  # embeddings of the sample for each code; faiss uses no more


@dataclass(frozen=True)
class IVFPQ:
    """IVF-PQ index: compares a query with compressed embeddings of the clusters nearest to it.

    K-means sorts the images into lists. An embedding minus the centre of its list is cut into
    parts, each stored as one byte: `num_bytes` + 8 bytes per image. Similarities are those of the
    compressed embeddings, so approximate. Images can be removed; lists and codes are learned when
    the index is built, so that an index whose images change much is better built anew.

    Args:
        num_lists: number of clusters; None is 4 √N for N images.
        num_bytes: bytes per image, which must divide the dimensions D; None is the largest that
            divides D and is at most D / 2.
        nprobe: lists that a search reads; more find more neighbours, more slowly.
    """

    name: ClassVar[str] = "ivfpq"
    is_exact: ClassVar[bool] = False
    num_lists: PositiveInt | None = None
    num_bytes: PositiveInt | None = None
    nprobe: PositiveInt = 32

    def num_training(self, count: int) -> int:
        return min(count, max(SAMPLE_PER_CODE * CODES, SAMPLE_PER_LIST * self.lists(count)))

    def lists(self, count: int) -> int:
        """Number of clusters for `count` images."""
        return self.num_lists or max(1, min(round(4 * math.sqrt(count)), count // PER_CENTRE))

    def make(self, dim: int, count: int, sample: Vectors) -> Any:  # noqa: ANN401
        """An empty index whose lists and codes fit the sample.

        Raises:
            ImageIndexError: there are too few images, or the bytes do not divide the dimensions.
        """
        lists = self.lists(count)
        needed = PER_CENTRE * max(CODES, lists)
        if count < needed:
            raise ImageIndexError(
                f"index=ivfpq with {lists} lists needs at least {needed:,} images, there are "
                f"{count:,}; index=exact is fast for so few"
            )
        # np leaves out an order of the codes for another kind of search, which takes minutes
        index: Any = faiss.index_factory(
            dim, f"IVF{lists},PQ{self.bytes_of(dim)}np", faiss.METRIC_INNER_PRODUCT
        )
        index.train(sample)
        return index

    def bytes_of(self, dim: int) -> int:
        """Bytes per image of `dim` dimensions.

        Raises:
            ImageIndexError: they do not divide the dimensions.
        """
        divisors = [part for part in range(1, dim + 1) if dim % part == 0]
        if self.num_bytes is None:
            return max(part for part in divisors if part <= max(1, dim // 2))
        if self.num_bytes not in divisors:
            raise ImageIndexError(
                f"index.num_bytes={self.num_bytes} does not divide the {dim} dimensions; "
                f"choose one of {', '.join(map(str, divisors))}"
            )
        return self.num_bytes

    def add(self, index: Any, vectors: Vectors, ids: Ids) -> None:  # noqa: ANN401
        index.add_with_ids(vectors, ids)

    def remove(self, index: Any, ids: Ids) -> None:  # noqa: ANN401
        index.remove_ids(ids)

    def num_stored(self, count: int, next_id: int) -> int:  # noqa: ARG002
        return count

    def with_effort(self, effort: int) -> "IVFPQ":
        return replace(self, nprobe=effort)

    def search_parameters(self, selector: Any) -> Any:  # noqa: ANN401
        return faiss.SearchParametersIVF(nprobe=self.nprobe, sel=selector)  # type: ignore[call-arg]

    def read(self, path: str) -> Any:  # noqa: ANN401
        return faiss.read_index(path, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
