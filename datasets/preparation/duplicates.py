"""Duplicates between two sets of images: identical files and similar images."""

from collections.abc import Sequence
from typing import NamedTuple

import faiss
import numpy as np


class Duplicate(NamedTuple):
    """Duplicate: image `query` of one set equals or resembles image `reference` of the other.

    `bits` is the number of bits in which their perceptual hashes differ; None for identical files.
    """

    query: int
    reference: int
    bits: int | None = None


def exact(queries: Sequence[bytes], references: Sequence[bytes]) -> list[Duplicate]:
    """Exact duplicates: each query that equals a reference, with the first such reference.

    Args:
        queries, references: hashes of files; an empty hash equals none.
    """
    first: dict[bytes, int] = {}
    for index, content in enumerate(references):
        first.setdefault(content, index)
    return [
        Duplicate(index, first[content])
        for index, content in enumerate(queries)
        if content and content in first
    ]


def near(queries: Sequence[bytes], references: Sequence[bytes], bits: int) -> list[Duplicate]:
    """Near duplicates: the most similar reference of each query, if at most `bits` bits differ.

    faiss compares all pairs, in the memory of the hashes and of one result per query.

    Args:
        queries, references: perceptual hashes of equal length; an empty hash resembles none.
    """
    query_ids, reference_ids = non_empty(queries), non_empty(references)
    if not (len(query_ids) and len(reference_ids)):
        return []
    index = faiss.IndexBinaryFlat(8 * len(references[reference_ids[0]]))
    index.add(matrix([references[number] for number in reference_ids]))
    distances, nearest = index.search(matrix([queries[number] for number in query_ids]), 1)
    return [
        Duplicate(int(query), int(reference_ids[neighbor]), int(distance))
        for query, neighbor, distance in zip(query_ids, nearest[:, 0], distances[:, 0], strict=True)
        if distance <= bits
    ]


def non_empty(hashes: Sequence[bytes]) -> np.ndarray:
    """Indices of the hashes that are not empty."""
    return np.flatnonzero([len(content) > 0 for content in hashes])


def matrix(hashes: Sequence[bytes]) -> np.ndarray:
    """Matrix of hashes, uint8 (N, bytes)."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
