"""Stored embeddings of the training images, from which a sampler plans the batches of an epoch."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
from annotated_types import Ge, Lt
from torch import Tensor

from core.kernels.l2_normalize import l2_normalize
from core.ranges import PositiveInt
from core.types import Embeddings

Update = Literal["steps", "never"]


class StoredEmbeddings:
    """Stored embeddings: one row for every training image, replaced while the network learns.

    The training loop embeds all images before the first step (`fill`) and hands in the embeddings
    of every step (`update`). An epoch sees the rows as they were when it began (`begin_epoch`):
    rows that arrive during an epoch become visible in the next one. So the batches of epoch e are a
    function of (seed, e, rows at the start of e), and a run that is resumed in the middle of an
    epoch plans the same batches.

    With a momentum m > 0, an arriving row z' replaces the row z by

        m z + (1 - m) z',   scaled to the length m |z| + (1 - m) |z'|

    so that unit vectors stay unit vectors. An image that a step contains twice takes the embedding
    of its first place in the batch.

    Differences:
        Roth et al.: the last place in the batch counts; the momentum and the refreshing of all
            rows are options that end in an error.

    Args:
        update: "steps": every training step replaces the rows of its images by their embeddings,
            which are those of augmented images in training mode; "never": no step does.
        refresh_every: epochs after which all images are embedded again with the transform of the
            evaluation; None never does it again.
        momentum: m in [0, 1).

    Attributes:
        device: where the rows are kept; `fill` takes the device of its embeddings.
        epoch: the epoch that sees the visible rows; None before the first one.
    """

    def __init__(
        self,
        update: Update = "steps",
        refresh_every: PositiveInt | None = None,
        momentum: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        if update not in get_args(Update):
            raise ValueError(f"update must be one of {get_args(Update)}, got {update!r}")
        if refresh_every is not None and refresh_every < 1:
            raise ValueError(f"refresh_every must be at least 1 or None, got {refresh_every}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self.keeps_steps, self.refresh_every = update == "steps", refresh_every
        self.momentum = momentum
        self.device = torch.device("cpu")
        self.clear()

    def clear(self) -> None:
        """Removes all rows."""
        self.epoch: int | None = None
        self._visible: Tensor | None = None
        self._pending: Tensor | None = None  # None: no row has arrived since the epoch began

    def is_due(self, epoch: int) -> bool:
        """Whether all images are to be embedded before this epoch begins."""
        if self._visible is None:
            return True
        every = self.refresh_every
        return every is not None and epoch != self.epoch and epoch % every == 0

    def fill(self, embeddings: Embeddings) -> None:
        """Replaces all rows, (S, D); they are visible at once."""
        self.device = embeddings.device
        latest = self._visible if self._pending is None else self._pending
        rows = embeddings.detach().to(torch.float32).clone()
        self._visible = rows if latest is None else self._mixed(latest, rows)
        self._pending = None

    def begin_epoch(self, epoch: int) -> None:
        """Makes the rows visible that have arrived, if the epoch is another than the last one."""
        if epoch != self.epoch and self._pending is not None:
            self._visible, self._pending = self._pending, None
        if self.device.type == "cuda":  # the batches may be planned in another stream
            torch.cuda.synchronize(self.device)
        self.epoch = epoch

    def rows(self) -> Embeddings:
        """The visible rows, float32 (S, D); a later `fill`, `update` or epoch does not change them.

        Raises:
            ValueError: there are none.
        """
        if self._visible is None:
            raise ValueError(
                "there are no stored embeddings; storage.fill(embeddings) takes those of all "
                "training images, (S, D)"
            )
        return self._visible

    def update(self, images: Sequence[int], embeddings: Embeddings) -> None:
        """Takes the embeddings (N, D) of the training images of one step; next epoch sees them."""
        if len(images) != len(embeddings):
            raise ValueError(f"{len(embeddings)} embeddings of {len(images)} images")
        if not self.keeps_steps:
            return
        if self._pending is None:
            self._pending = self.rows().clone()
        indices, first = np.unique(np.asarray(images), return_index=True)
        at, rows = torch.from_numpy(indices).to(self.device), torch.from_numpy(first)
        arriving = embeddings.detach()[rows.to(embeddings.device)].to(self._pending)
        self._pending[at] = self._mixed(self._pending[at], arriving)

    def _mixed(self, rows: Tensor, arriving: Tensor) -> Tensor:
        """The rows after others have arrived."""
        m = self.momentum
        if m == 0:
            return arriving
        lengths = torch.lerp(arriving.norm(dim=1), rows.norm(dim=1), m)
        return l2_normalize(torch.lerp(arriving, rows, m)) * lengths[:, None]

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "visible": self._visible, "pending": self._pending}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]
        self._visible, self._pending = (
            None if rows is None else rows.to(self.device)
            for rows in (state["visible"], state["pending"])
        )
