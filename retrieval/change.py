"""Changes of an index on disk: build it, add images, remove images."""

from collections.abc import Sequence
from pathlib import Path

from engine.data.image_files import image_files
from engine.embeddings.origin import Origin, check_same_origin, origin_of
from retrieval.build import build_index
from retrieval.embedder import embed_files, embedder_of
from retrieval.index_folder import LOCK, Recall, changing, exists, load, save
from retrieval.kind import ImageIndexError, Kind
from retrieval.parquet_rows import ParquetRows
from retrieval.recall import recall_against_exact
from retrieval.rows import InMemory, Source

PARQUET = ".parquet"


def build(
    folder: Path,
    source: Source,
    kind: Kind,
    embedder: Origin | None,
    recall_k: int,
    recall_queries: int,
) -> str:
    """Build an index in a folder; returns its size and recall in words."""
    with changing(folder):
        index = build_index(source, kind, embedder)
        recall, k = None, min(recall_k, len(index) - 1)
        if not kind.is_exact and recall_queries and k:
            queries = min(recall_queries, len(index))
            value = recall_against_exact(index, source, k, queries)
            recall = Recall(k=k, queries=queries, recall=value)
        save(index, folder, recall)
    return f"{len(index):,} images, {index.dim} dimensions, index={kind.name}{in_words(recall)}"


def in_words(recall: Recall | None) -> str:
    """The recall of an approximate index; nothing for an exact one."""
    if recall is None:
        return ""
    return (
        f"\nrecall@{recall.k} against the exact index: {recall.recall:.4f} "
        f"({recall.queries:,} queries)"
    )


def check_target(folder: Path, force: bool) -> None:
    """Check that an index can be built in a folder, before images are embedded.

    Raises:
        ImageIndexError: it holds an index or other files.
    """
    if exists(folder) and not force:
        raise ImageIndexError(
            f"{folder} holds an index: add= adds images to it, force=true replaces it"
        )
    others = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if folder.is_file() or (set(others) - {LOCK} and not exists(folder)):
        raise ImageIndexError(f"{folder} holds other files; name a new folder of the index")


def source_of_images(
    images: Sequence[str], run: str | None, trust: Sequence[str]
) -> tuple[Source, Origin]:
    """Embed images by a run; returns their rows and what an index records of the embedder."""
    files = image_files(images)
    embedder = embedder_of(None, run, trust)
    return InMemory(embed_files(embedder, files)), origin_of(embedder.run)


def source_of_file(
    path: Path, run: str | None, trust: Sequence[str]
) -> tuple[Source, Origin | None]:
    """The rows of a Parquet file, and the embedder that it records or that is named."""
    source = ParquetRows(path)
    if run is None:
        return source, source.embedder
    return source, origin_of(embedder_of(source.embedder, run, trust).run)


def add(folder: Path, inputs: Sequence[str], run: str | None, trust: Sequence[str]) -> str:
    """Add images, or a Parquet file of embeddings; returns what was done in words.

    Paths that are in the index already are left as they are, and are not embedded.
    """
    with changing(folder):
        index, recall = load(folder, memory_map=False)
        if inputs[0].endswith(PARQUET):
            check_same_origin(index.embedder, Path(inputs[0]))
            source: Source = ParquetRows(Path(inputs[0]))
            given = source.count
        else:
            files = image_files(inputs)
            given, new = len(files), files[~files["path"].isin(index.images["path"])]
            if new.empty:
                return f"all {given:,} images are in the index already"
            embedder = embedder_of(index.embedder, run, trust)
            source = InMemory(embed_files(embedder, new))
        if source.dim != index.dim:
            raise ImageIndexError(
                f"the embeddings have {source.dim} dimensions, the index has {index.dim}"
            )
        added = sum(index.add(rows) for rows in source)
        save(index, folder, recall)
    return f"{added:,} images added, {given - added:,} were there; the index has {len(index):,}"


def remove(folder: Path, paths: Sequence[str]) -> str:
    """Remove images by their paths or folders; returns what was done in words."""
    with changing(folder):
        index, recall = load(folder, memory_map=False)
        removed = index.remove(paths)
        save(index, folder, recall)
    return f"{removed:,} images removed; the index has {len(index):,}"
