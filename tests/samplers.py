"""Samplers as their YAML builds them, for training images of given labels, and their draws."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import ArrayLike
from omegaconf import DictConfig
from scipy.stats import chisquare

from core.types import BatchSampler
from datasets.images import Images
from datasets.table import make_table
from datasets.transforms import Transform
from engine.sampler_inputs import sampler_inputs

CATEGORIES = 4


def training_images(labels: ArrayLike) -> Images:
    """Training images of these labels in four categories and two streams, without files."""
    labels = np.asarray(labels)
    table = make_table(
        [f"{index}.png" for index in range(len(labels))],
        labels,
        "train",
        category=[f"category {label % CATEGORIES}" for label in labels],
        is_query=np.arange(len(labels)) % 2 == 0,
        is_gallery=np.arange(len(labels)) % 2 == 1,
    )
    return Images(table, Transform())


def build_sampler(node: DictConfig, labels: ArrayLike) -> BatchSampler:
    """Build the sampler of a configuration; its stored embeddings, if it has any, are noise."""
    factory = instantiate(node)
    sampler: BatchSampler = factory(**sampler_inputs(factory, training_images(labels)))
    if hasattr(sampler, "storage"):
        noise = np.random.default_rng(0).standard_normal((len(np.asarray(labels)), 8))
        sampler.storage.fill(torch.from_numpy(noise))
    return sampler


def epoch(sampler: Any, number: int) -> list[list[int]]:  # noqa: ANN401 - iterated, too
    """The batches of an epoch, as many as the sampler says."""
    sampler.set_epoch(number)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


def assert_distribution(
    drawn: Iterable[Hashable], probabilities: Mapping[Any, float], level: float = 1e-4
) -> None:
    """Check that nothing else is drawn, and each as often as its probability, by chi-square."""
    counts = Counter(drawn)
    assert set(counts) <= {value for value, p in probabilities.items() if p > 0}
    total = sum(counts.values())
    expected = {value: p * total for value, p in probabilities.items() if p > 0}
    assert min(expected.values()) > 5, "too few draws"
    observed = [counts[value] for value in expected]
    assert chisquare(observed, list(expected.values())).pvalue > level
