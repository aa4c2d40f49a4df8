"""Image index: finds the images whose embeddings are most similar to a query's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from engine.embeddings.origin import Origin
from retrieval.faiss_search import search_index
from retrieval.kind import Ids, ImageIndexError, Kind, Vectors
from retrieval.rows import Rows

NO_IMAGE = -1  # id of faiss where it finds fewer than k


class Found(NamedTuple):
    """Found images: k for each of Q queries, most similar first; -1 where fewer are found."""

    ids: np.ndarray  # (Q, k) int64
    similarities: np.ndarray  # (Q, k) float32, cosine


class ImageIndex:
    """Image index: images with their paths, labels and embeddings, and a search among them.

    An index whose vectors are mapped into memory cannot change; faiss would crash.

    Args:
        kind: how embeddings are stored and compared.
        vectors: the index of faiss.
        images: the images in it, with columns id, path and label, by ascending id.
        next_id: the id of the next image that is added; no id is given twice.
        dim: dimensions D of an embedding.
        embedder: the checkpoint that made the embeddings; None if it is not known.
        read_only: whether the vectors are mapped into memory.
    """

    def __init__(
        self,
        kind: Kind,
        vectors: Any,  # noqa: ANN401
        images: pd.DataFrame,
        next_id: int,
        dim: int,
        embedder: Origin | None = None,
        read_only: bool = False,
    ) -> None:
        self.kind, self.vectors, self.images, self.next_id = kind, vectors, images, next_id
        self.dim, self.embedder, self.read_only = dim, embedder, read_only

    def __len__(self) -> int:
        return len(self.images)

    def search(self, queries: Vectors, k: int) -> Found:
        """The `k` most similar images of each query, most similar first.

        Args:
            queries: unit vectors (Q, D).
            k: at most the number of images.

        Raises:
            ImageIndexError: see `check`.
        """
        self.check(queries, k)
        parameters = self.kind.search_parameters(self._selector())
        return Found(*reversed(search_index(self.vectors, queries, k, parameters)))

    def check(self, queries: Vectors, k: int) -> None:
        """Check queries before a search.

        Raises:
            ImageIndexError: their dimensions are not those of the index, or k is too large.
        """
        if queries.shape[1] != self.dim:
            raise ImageIndexError(
                f"the queries have {queries.shape[1]} dimensions, the index has {self.dim}: they "
                "are of another embedder"
            )
        if not 1 <= k <= len(self):
            raise ImageIndexError(f"k={k}: the index has {len(self)} images")

    def _selector(self) -> Any:  # noqa: ANN401
        """The ids that are in the index, if it still stores vectors of others; else None."""
        if self.vectors.ntotal == len(self):
            return None
        present = np.zeros(self.next_id, bool)
        present[self.images["id"]] = True
        selector: Any = faiss.IDSelectorBitmap
        return selector(np.packbits(present, bitorder="little"))

    def add(self, rows: Rows) -> int:
        """Add the images whose paths are not in the index yet; returns their number.

        Raises:
            ValueError: the index is read-only.
        """
        self._check_writable()
        paths = pd.Series(rows.paths, dtype=str)
        new = np.flatnonzero(~(paths.isin(self.images["path"]) | paths.duplicated()))
        if len(new):
            ids: Ids = np.arange(self.next_id, self.next_id + len(new), dtype=np.int64)
            self.kind.add(self.vectors, rows.vectors[new], ids)
            labels = np.array(rows.labels, object)[new]
            added = images_table(ids, paths.iloc[new].to_numpy(), labels)
            self.images = pd.concat([self.images, added], ignore_index=True)
            self.next_id += len(new)
        return len(new)

    def remove(self, paths: Sequence[str]) -> int:
        """Remove images by their paths, or by folders that hold them; returns their number.

        A path is that of the index, or the file that it names from here.

        Raises:
            ImageIndexError: a path names no image of the index.
            ValueError: the index is read-only.
        """
        self._check_writable()
        chosen = np.zeros(len(self), bool)
        for path in paths:
            inside = self._named(path)
            if not inside.any():
                example = f", such as {self.images['path'].iloc[0]}" if len(self) else ""
                raise ImageIndexError(
                    f"{path} is not in the index: it has {len(self)} images{example}"
                )
            chosen |= inside
        self.kind.remove(self.vectors, self.images["id"].to_numpy()[chosen])
        self.images = self.images[~chosen].reset_index(drop=True)
        return int(chosen.sum())

    def _check_writable(self) -> None:
        if self.read_only:
            raise ValueError("a memory-mapped index cannot change; load it with memory_map=False")

    def _named(self, path: str) -> np.ndarray:
        """Which images a path names: one image, or all of a folder."""
        chosen = np.zeros(len(self), bool)
        for name in {path.rstrip("/"), str(Path(path).expanduser().absolute())}:
            paths = self.images["path"]
            chosen |= ((paths == name) | paths.str.startswith(f"{name}/")).to_numpy(bool)
        return chosen


def images_table(ids: Ids, paths: ArrayLike, labels: ArrayLike) -> pd.DataFrame:
    """The table of images of an index."""
    columns = {"id": ids, "path": paths, "label": labels}
    return pd.DataFrame(columns).astype({"id": "int64", "path": str, "label": str})
