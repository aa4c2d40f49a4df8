"""Samplers as their YAML builds them, for training images of given labels."""

import numpy as np
from hydra.utils import instantiate
from numpy.typing import ArrayLike
from omegaconf import DictConfig

from core.types import BatchSampler
from datasets.images import Images
from datasets.table import make_table
from datasets.transforms import Transform
from engine.sampler_inputs import sampler_inputs

CATEGORIES = 3


def training_images(labels: ArrayLike) -> Images:
    """Training images of these labels in three categories and two streams, without files."""
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
    """Build the sampler of a configuration."""
    factory = instantiate(node)
    sampler: BatchSampler = factory(**sampler_inputs(factory, training_images(labels)))
    return sampler
