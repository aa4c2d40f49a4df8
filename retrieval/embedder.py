"""Embedder of an index: the run whose checkpoint embeds its images and its queries."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from engine.embeddings.origin import Origin, origin_of
from engine.load import TrainedEmbedder, load
from retrieval.kind import ImageIndexError
from retrieval.rows import Rows, unit_vectors


def embedder_of(
    recorded: Origin | None, run: str | None, trust: Sequence[str] = ()
) -> TrainedEmbedder:
    """The embedder of a run, which must be the one that an index records, if it records one.

    Args:
        recorded: the embedder of the index.
        run: the run folder or checkpoint; None is where the index was built with it.
        trust: see `engine.load.load`.

    Raises:
        ImageIndexError: no run is named or recorded, or its checkpoint is not the recorded one.
    """
    if run is None:
        if recorded is None:
            raise ImageIndexError("the run that embeds the images is not known: name it, run=<run>")
        run = str(Path(recorded.run, "checkpoints", recorded.checkpoint))
    embedder = load(run, trust=trust)
    if recorded is not None and origin_of(embedder.run).sha256 != recorded.sha256:
        raise ImageIndexError(
            f"{embedder.run.checkpoint} is not the checkpoint that made the embeddings of the "
            f"index, {recorded.checkpoint} of {recorded.run}, or it has changed since; name that "
            "one, run=<checkpoint>, or build the index again"
        )
    return embedder


def embed_files(embedder: TrainedEmbedder, files: pd.DataFrame) -> Rows:
    """Embed image files, a table of `image_files`; a terminal shows the progress."""
    paths = files["path"].tolist()
    embeddings = embedder.embed(paths)
    return Rows(paths, files["label"].tolist(), unit_vectors(paths, embeddings.numpy()))
