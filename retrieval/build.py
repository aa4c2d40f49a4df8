"""Build of an index: reads all rows, learns what the kind needs, adds the embeddings."""

from collections.abc import Iterable

import numpy as np

from engine.embeddings.origin import Origin
from engine.progress import progress_bar, spinner
from retrieval.image_index import ImageIndex, images_table
from retrieval.kind import ImageIndexError, Kind
from retrieval.rows import BATCH, Rows, Source, random_vectors

SEED = 0  # of the embeddings that a kind learns from


def build_index(source: Source, kind: Kind, embedder: Origin | None = None) -> ImageIndex:
    """Build an index of all rows of a source; a terminal shows the progress.

    The rows are read several times, so that their embeddings need not fit into memory.

    Raises:
        ImageIndexError: there are too few rows for the kind, a path is there twice, or an embedding
            is zero or not finite.
    """
    paths: list[str] = []
    labels: list[str] = []
    for rows in in_batches(source, "reading"):
        paths += rows.paths
        labels += rows.labels
    images = images_table(np.arange(len(paths)), paths, labels)
    if (repeated := images["path"].duplicated()).any():
        raise ImageIndexError(f"the path {images['path'][repeated].iloc[0]} is in two rows")
    with spinner("learning"):
        sample = random_vectors(source, kind.num_training(len(paths)), SEED)[1]
        vectors = kind.make(source.dim, len(paths), sample)
    start = 0
    for rows in in_batches(source, "indexing"):
        kind.add(vectors, rows.vectors, np.arange(start, start + len(rows.paths)))
        start += len(rows.paths)
    return ImageIndex(kind, vectors, images, start, source.dim, embedder)


def in_batches(source: Source, description: str) -> Iterable[Rows]:
    """The batches of a source with a progress bar."""
    return progress_bar(source, -(-source.count // BATCH), description)
