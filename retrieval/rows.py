"""Rows of an index: images with their embeddings, read in batches."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int64

from retrieval.kind import ImageIndexError, Vectors

BATCH = 16_384  # rows at a time


class Rows(NamedTuple):
    """Rows: N images with their paths, labels and unit embeddings; a label is empty if unknown."""

    paths: Sequence[str]
    labels: Sequence[str]
    vectors: Vectors


class Source(Protocol):
    """Source of rows: iterated in batches, always in the same order."""

    count: int
    dim: int

    def __iter__(self) -> Iterator[Rows]: ...


class InMemory:
    """Rows that are in memory, such as those of images that were just embedded."""

    def __init__(self, rows: Rows) -> None:
        self.rows, (self.count, self.dim) = rows, rows.vectors.shape

    def __iter__(self) -> Iterator[Rows]:
        for start in range(0, self.count, BATCH):
            part = slice(start, start + BATCH)
            yield Rows(self.rows.paths[part], self.rows.labels[part], self.rows.vectors[part])


def unit_vectors(paths: Sequence[str], embeddings: np.ndarray) -> Vectors:
    """Embeddings (N, D) divided by their lengths, float32.

    Raises:
        ImageIndexError: an embedding is zero, or has an entry that is not finite.
    """
    vectors = np.ascontiguousarray(embeddings, np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    wrong = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if len(wrong):
        reason = "zero" if lengths[wrong[0], 0] == 0 else "not finite"
        raise ImageIndexError(f"the embedding of {paths[wrong[0]]} is {reason}")
    unit: Vectors = vectors / lengths
    return unit


def random_vectors(source: Source, num: int, seed: int) -> tuple[Int64[np.ndarray, " S"], Vectors]:
    """Row numbers, ascending, and vectors of `num` random rows, or of all if there are fewer."""
    rng = np.random.default_rng(seed)
    numbers = np.sort(rng.choice(source.count, min(num, source.count), replace=False))
    parts, start = [np.empty((0, source.dim), np.float32)], 0
    for rows in source:
        end = start + len(rows.vectors)
        inside = numbers[np.searchsorted(numbers, start) : np.searchsorted(numbers, end)]
        parts.append(rows.vectors[inside - start])
        start = end
    return numbers, np.concatenate(parts)


def joined(source: Source) -> Rows:
    """All rows of a source in memory."""
    parts = list(source)
    paths, labels = ([name for part in parts for name in part[column]] for column in (0, 1))
    return Rows(paths, labels, np.concatenate([part.vectors for part in parts]))
