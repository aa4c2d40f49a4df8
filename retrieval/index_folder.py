"""Index folder: an image index on disk, replaced atomically.

| file                  | content                                                              |
|-----------------------|----------------------------------------------------------------------|
| `index.json`          | kind and its numbers, dimensions, count, embedder; names of the others |
| `vectors-<n>.faiss`   | the index of faiss                                                   |
| `images-<n>.parquet`  | id, path and label of each image                                     |

A change writes new files under the next number, then `index.json`, and removes the earlier ones:
`index.json` always names files that belong together.
"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import faiss
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from core.files import DamagedFileError, remove_leftovers, write_atomically, write_text_atomically
from engine.embeddings.origin import Origin
from retrieval.exact import Exact
from retrieval.hnsw import HNSW
from retrieval.image_index import ImageIndex
from retrieval.ivfpq import IVFPQ
from retrieval.kind import ImageIndexError, Kind

NAME, LOCK = "index.json", "index.lock"
KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (Exact, HNSW, IVFPQ)}
ADVICE = "build the index again: python -m scripts.index ... force=true"


class Recall(BaseModel):
    """Recall of an approximate index when it was built, see `retrieval.recall`."""

    k: int
    queries: int
    recall: float


class IndexFile(BaseModel):
    """Fields of `index.json`."""

    kind: str
    parameters: dict[str, int | None]
    metric: str = "cosine"
    dim: int
    count: int
    next_id: int
    embedder: Origin | None
    recall: Recall | None
    number: int  # of the files


def exists(folder: Path) -> bool:
    """Whether a folder holds an index."""
    return (folder / NAME).exists()


def save(index: ImageIndex, folder: Path, recall: Recall | None = None) -> None:
    """Write an index into its folder, in the place of the one that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    number = read_file(folder).number + 1 if exists(folder) else 0
    content = IndexFile(
        kind=index.kind.name,
        parameters=dataclasses.asdict(index.kind),  # type: ignore[call-overload]
        dim=index.dim,
        count=len(index),
        next_id=index.next_id,
        embedder=index.embedder,
        recall=recall,
        number=number,
    )
    vectors, images = files_of(folder, number)
    write_atomically(vectors, lambda file: faiss.write_index(index.vectors, file.name))
    table = pa.Table.from_pandas(index.images, preserve_index=False)
    write_atomically(images, lambda file: pq.write_table(table, file))
    write_text_atomically(folder / NAME, content.model_dump_json(indent=2) + "\n")
    for pattern in ("vectors-*.faiss", "images-*.parquet"):
        for file in folder.glob(pattern):
            if file not in (vectors, images):
                file.unlink()
    remove_leftovers(folder)


def files_of(folder: Path, number: int) -> tuple[Path, Path]:
    """The files of vectors and images."""
    return folder / f"vectors-{number}.faiss", folder / f"images-{number}.parquet"


def load(folder: Path, memory_map: bool = True) -> tuple[ImageIndex, Recall | None]:
    """Load an index from its folder, and the recall that was measured when it was built.

    Args:
        folder: of a source that you trust, as faiss does not guard against forged files.
        memory_map: read vectors from the file when a search needs them; such an index cannot
            change.

    Raises:
        ImageIndexError: there is no index.
        DamagedFileError: a file is missing or damaged, or does not belong to the others.
    """
    content = read_file(folder)
    vectors_file, images_file = files_of(folder, content.number)
    try:
        kind = KINDS[content.kind](**content.parameters)
        images = pd.read_parquet(images_file, columns=["id", "path", "label"])
        path = str(vectors_file)
        vectors = kind.read(path) if memory_map else faiss.read_index(path)
    except (KeyError, TypeError, ValueError, OSError, RuntimeError, pa.ArrowException) as error:
        raise DamagedFileError(f"{folder} is damaged ({first_line(error)}); {ADVICE}") from error
    stored = kind.num_stored(content.count, content.next_id)
    found = {"images": len(images), "vectors": vectors.ntotal, "dimensions": vectors.d}
    expected = {"images": content.count, "vectors": stored, "dimensions": content.dim}
    if found != expected:
        raise DamagedFileError(f"{folder} is damaged (it has {found}, not {expected}); {ADVICE}")
    known = (content.next_id, content.dim, content.embedder, memory_map)
    return ImageIndex(kind, vectors, images, *known), content.recall


def first_line(error: BaseException) -> str:
    """What an error says, without the C++ function that faiss names first."""
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__


def read_file(folder: Path) -> IndexFile:
    """The content of `index.json`.

    Raises:
        ImageIndexError: there is no index.
        DamagedFileError: the file is damaged.
    """
    if not exists(folder):
        raise ImageIndexError(f"{folder} holds no index; python -m scripts.index builds one")
    try:
        return IndexFile.model_validate_json((folder / NAME).read_bytes())
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DamagedFileError(f"{folder / NAME} is damaged ({reason}); {ADVICE}") from error
    except OSError as error:
        raise DamagedFileError(f"{folder / NAME} cannot be read ({error}); {ADVICE}") from error


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the index meanwhile.

    Raises:
        ImageIndexError: another process changes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout as error:
        raise ImageIndexError(f"another process changes {folder}; wait until it is done") from error
