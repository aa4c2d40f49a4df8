"""Embedded images: the images of a split with their embeddings, from a network or from a file."""

from typing import NamedTuple

from datasets.images import Images
from engine.embeddings.origin import Origin
from evaluation.embed import Embedded
from evaluation.samples import Samples
from evaluation.search.ignored_items import Groups


class EmbeddedImages(NamedTuple):
    """Embedded images: what is evaluated, and the image files that pictures show.

    Args:
        embedded: embeddings (N, D) and labels (N,), in the order of the images.
        ignore_groups: group of each image; a query ignores the gallery items of its group. None
            means that it ignores only itself.
        has_files: whether the image files are there; without them no picture of neighbours is made.
        origin: the checkpoint that made the embeddings; None if it is not known.
    """

    images: Images
    embedded: Embedded
    ignore_groups: Groups | None = None
    has_files: bool = True
    origin: Origin | None = None

    @property
    def samples(self) -> Samples:
        """The arguments of `Evaluator`."""
        images = self.images
        return Samples(*self.embedded, *images.roles, images.categories, self.ignore_groups)
