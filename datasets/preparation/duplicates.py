"""Images of one set that are in another one too: the same file, or what looks the same."""

from collections.abc import Sequence
from typing import NamedTuple

import faiss
import numpy as np


class Duplicate(NamedTuple):
    """The image number `query` of one set is number `reference` of the other.

    `bits` of their perceptual hashes differ; of two equal files, None.
    """

    query: int
    reference: int
    bits: int | None = None


def exact(queries: Sequence[bytes], references: Sequence[bytes]) -> list[Duplicate]:
    """Which queries are among the references, each with the first that equals it.

    Args:
        queries, references: hashes of files; an empty one equals nothing.
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
    """The most similar reference of each query, where at most `bits` of their hashes differ.

    All pairs are compared, by faiss, in the memory of the hashes and one answer per query.

    Args:
        queries, references: perceptual hashes, all of one length; an empty one resembles nothing.
    """
    asked, found = present(queries), present(references)
    if not (len(asked) and len(found)):
        return []
    index = faiss.IndexBinaryFlat(8 * len(references[found[0]]))
    index.add(matrix([references[number] for number in found]))
    distances, nearest = index.search(matrix([queries[number] for number in asked]), 1)
    return [
        Duplicate(int(query), int(found[neighbor]), int(distance))
        for query, neighbor, distance in zip(asked, nearest[:, 0], distances[:, 0], strict=True)
        if distance <= bits
    ]


def present(hashes: Sequence[bytes]) -> np.ndarray:
    """Numbers of those that are not empty."""
    return np.flatnonzero([len(content) > 0 for content in hashes])


def matrix(hashes: Sequence[bytes]) -> np.ndarray:
    """uint8 (N, bytes)."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
