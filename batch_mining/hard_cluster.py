"""The hardest triplet of each class, as in open-metric-learning's `HardClusterMiner`."""

import torch
from torch import Tensor

from core.distance import to_float32
from core.tuple_batch import TupleBatch
from core.tuple_miner import TupleMiner
from core.tuples import one_triplet_per_anchor
from core.types import Distance, Embeddings, Labels, Triplets


class HardClusterMiner(TupleMiner):
    """Hard cluster miner: the centre of a class, its farthest sample and the nearest other class.

    With the mean μ of the embeddings of each class, as they are given, a class gives one triplet:

        anchor    its sample nearest to μ
        positive  its sample farthest from μ, other than the anchor
        negative  of the class whose mean is nearest to μ, the sample nearest to that mean

    A class without a second sample, or without other classes, gives none. Against references, the
    means, positives and negatives are those of the references.

    Differences:
        open-metric-learning: anchor and negative are the means themselves; here they are the
            samples nearest to the means. Its classes must have equally many samples.

    Args:
        distance: None is the Euclidean distance of unit vectors; open-metric-learning does not
            project onto the unit sphere, `Lp(normalize=False)`.
    """

    def __init__(self, distance: Distance | None = None) -> None:
        super().__init__(distance)

    def choose(self, batch: TupleBatch) -> Triplets:
        positives, negatives = batch.pairs()
        embeddings, labels = batch.embeddings, batch.labels
        others = embeddings if batch.references is None else batch.references
        other_labels = labels if batch.reference_labels is None else batch.reference_labels
        means = class_means(others, other_labels, of=labels)
        other_means = class_means(others, other_labels, of=other_labels)
        to_mean = self.distance(means, embeddings).diagonal()
        others_to_mean = self.distance(other_means, others).diagonal()
        farthest = self.distance(means, others).masked_fill(~positives, -torch.inf).argmax(dim=1)
        nearest = self.distance(means, other_means).masked_fill(~negatives, torch.inf).argmin(dim=1)
        centre = _nearest_of(labels, to_mean, labels)
        return one_triplet_per_anchor(
            farthest,
            _nearest_of(other_labels[nearest], others_to_mean, other_labels),
            where=(centre == torch.arange(len(labels), device=labels.device))
            & positives.any(dim=1)
            & negatives.any(dim=1),
        )


def class_means(embeddings: Embeddings, labels: Labels, of: Labels) -> Embeddings:
    """Mean of the embeddings with each label of `of`; zero for a label that none has."""
    with torch.autocast(embeddings.device.type, enabled=False):
        vectors = to_float32(embeddings)
        same = (of[:, None] == labels).to(vectors.dtype)
        return same @ vectors / same.sum(dim=1, keepdim=True).clamp(min=1)


def _nearest_of(classes: Labels, to_mean: Tensor, labels: Labels) -> Tensor:
    """For each class, given by its label, the sample that is nearest to its own mean."""
    return torch.where(classes[:, None] == labels, to_mean, torch.inf).argmin(dim=1)
