"""Export of embeddings: writes the embeddings of every evaluation into the folder of the run."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from core.files import remove_leftovers, write_atomically
from engine.hooks.hook import EmbeddedSplit, Hook, HookContext

FOLDER = "embeddings"  # in the folder of the run


class ExportEmbeddings(Hook):
    """Export of embeddings: writes `embeddings/<split>_<step>.npz` at every evaluation.

    `numpy.load` reads a file. It has four arrays, in the order of the split:

    | array        | content                                             |
    |--------------|-----------------------------------------------------|
    | `embeddings` | (N, D), float32 or float64, as they are evaluated   |
    | `labels`     | (N,) int64, 0 .. C-1                                |
    | `classes`    | (N,) text, the names of the labels                  |
    | `paths`      | (N,) text, the image files                          |

    A file is complete or absent. Weights that another hook evaluates beside have files of their
    own, `<split>_<name>_<step>.npz`.

    Args:
        keep: `last` removes the files of earlier evaluations, `all` keeps them; an evaluation of N
            images takes 4 N D bytes and the paths.
        splits: the splits to export, such as [test], which the run evaluates; None exports all.
    """

    may_stop: ClassVar[bool] = False

    def __init__(
        self,
        keep: Literal["last", "all"] = "last",
        splits: Sequence[Literal["train", "val", "test"]] | None = None,
    ) -> None:
        self.keep, self.splits = keep, splits

    def start(self, context: HookContext) -> None:
        """Make the folder, and remove the temporary files of killed processes."""
        folder = context.folder / FOLDER
        folder.mkdir(exist_ok=True)
        remove_leftovers(folder)

    def after_embedding(self, context: HookContext, split: EmbeddedSplit) -> None:
        """Write the file of a split."""
        if self.splits is not None and split.name.partition("/")[0] not in self.splits:
            return
        labels = split.labels.cpu().numpy()
        arrays = {
            "embeddings": split.embeddings.cpu().numpy(),
            "labels": labels,
            "classes": np.array(split.class_names)[labels],
            "paths": np.array(split.paths),
        }
        name = split.name.replace("/", "_")
        path = context.folder / FOLDER / f"{name}_{context.step}.npz"
        write_atomically(path, partial(np.savez, **arrays))
        if self.keep == "last":
            remove_others(path, name)


def remove_others(path: Path, name: str) -> None:
    """Remove the files `<name>_<step>.npz` beside `path`."""
    for other in path.parent.glob("*.npz"):
        if other != path and re.fullmatch(rf"{re.escape(name)}_\d+\.npz", other.name):
            other.unlink()
