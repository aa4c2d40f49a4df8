"""Frozen features: the backbone embeds every image once, and only head and loss are trained.

The pooled features of all images are stored in the folder of the image cache, under a hash of the
weights, the transform and the images, so that all runs of a study share them. An evaluation gives
the same bits as one that reads the images, because it embeds them in the same batches.
"""

import hashlib
import io
from collections.abc import Mapping
from copy import copy
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from lightning_fabric import Fabric
from omegaconf import DictConfig
from torch import Tensor, nn

from architectures.embedder import Embedder
from core.files import write_atomically
from datasets.cache import cache_name
from datasets.images import Images
from engine.config.errors import ConfigurationError
from engine.config.settings import Progress
from engine.data.loader import evaluation_loader
from engine.progress import progress_bar


class FeatureSet(Images):
    """Features of the images of a split, in place of the images.

    `features[i, seed]` chooses one of the stored views by the seed.

    Args:
        images: the images that the features are of.
        views: features of each view, (V, S, F).
    """

    in_memory = True

    def __init__(self, images: Images, views: np.ndarray) -> None:
        vars(self).update(vars(images))
        self.views, self.on_device = torch.from_numpy(views), False

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Tensor, int]:
        index, seed = item if isinstance(item, tuple) else (item, 0)
        return self.views[seed % len(self.views), index], int(self.labels[index])


class AugmentedOnce(Images):
    """Every image of a split with one augmentation, the same in every run.

    Args:
        images: the images.
        view: number of the augmentation, which seeds it.
    """

    def __init__(self, images: Images, view: int) -> None:
        vars(self).update(vars(images))
        self.view, self.on_device = view, False

    def __getitem__(self, item: int | tuple[int, int]) -> tuple[Tensor, int]:
        assert isinstance(item, int)
        seed = np.random.SeedSequence((self.view, item)).generate_state(1, np.uint64)[0]
        return super().__getitem__((item, int(seed >> 1)))


def with_stored_features(
    config: DictConfig,
    fabric: Fabric,
    embedder: nn.Module,
    train: Images,
    splits: Mapping[str, Images],
    num_workers: int,
) -> tuple[Images, dict[str, Images]]:
    """Training images and evaluated splits; of features if `trainer.features` is `frozen`.

    Args:
        embedder: the network of the run, frozen by `freeze`.
        num_workers: processes that read images.
    """
    store = feature_store(config, fabric, embedder, num_workers)
    if store is None:
        return train, dict(splits)
    evaluated: dict[str, Images] = {name: store.evaluated(part) for name, part in splits.items()}
    if config.trainer.feature_views:
        return store.augmented(train, config.trainer.feature_views), evaluated
    unaugmented = copy(train)
    unaugmented.transform = instantiate(config.transform).eval
    unaugmented.cache = None  # which holds images for the transform of training
    return store.evaluated(unaugmented), evaluated


def feature_store(
    config: DictConfig, fabric: Fabric, embedder: nn.Module, num_workers: int
) -> "FeatureStore | None":
    """The store of the features of a run; None if the run trains the whole backbone."""
    if config.trainer.features != "frozen":
        return None
    assert isinstance(embedder, Embedder)
    folder, batch_size = Path(config.paths.cache), config.evaluation.batch_size
    return FeatureStore(fabric, embedder, folder, batch_size, num_workers, config.trainer.progress)


def freeze(embedder: nn.Module, trainer: DictConfig) -> Embedder:
    """Freeze all parameters of an embedder except those of its head.

    Raises:
        ConfigurationError: the network is no embedder or has no head, or the run has several
            devices.
    """
    if not isinstance(embedder, Embedder):
        raise ConfigurationError(
            "trainer.features=frozen trains the head of an architectures.embedder.Embedder, and "
            f"the network of this run is a {type(embedder).__qualname__}; choose another backbone "
            "or method, or trainer.features=trained"
        )
    if isinstance(embedder.head, nn.Identity):
        raise ConfigurationError(
            "trainer.features=frozen trains the head of the backbone, and this backbone has none; "
            "choose backbone.embedding_dim=128 or trainer.features=trained"
        )
    if trainer.devices * trainer.num_nodes > 1:
        raise ConfigurationError(
            "trainer.features=frozen trains a head, which one device does; choose trainer.devices=1"
        )
    for name, part in embedder.named_children():
        if name != "head":
            part.requires_grad_(False)
    return embedder


class FeatureStore:
    """Store of features: computes those of a split, or reads them if they are stored already.

    Args:
        fabric: computes in the precision of the run, on its device.
        embedder: the backbone with its weights.
        folder: the folder of all stored features.
        batch_size: images per batch of an evaluation.
        num_workers: processes that read images.
        progress: how the progress of the computation is shown.
    """

    def __init__(
        self,
        fabric: Fabric,
        embedder: Embedder,
        folder: Path,
        batch_size: int,
        num_workers: int,
        progress: Progress = "auto",
    ) -> None:
        self.fabric, self.embedder, self.folder = fabric, embedder, folder
        self.batch_size, self.num_workers = batch_size, num_workers
        self.progress = progress

    def evaluated(self, images: Images) -> FeatureSet:
        """Features of the images as an evaluation shows them."""
        return FeatureSet(images, self._stored(images, "evaluated")[None])

    def augmented(self, images: Images, num_views: int) -> FeatureSet:
        """Features of `num_views` random augmentations of each image, the same in every run."""
        views = [
            self._stored(AugmentedOnce(images, view), f"view {view} of")
            for view in range(num_views)
        ]
        return FeatureSet(images, np.stack(views))

    def _stored(self, images: Images, kind: str) -> np.ndarray:
        file = self.folder / f"features_{self._key(images, kind)}.npy"
        if not file.exists():
            features = self._compute(images, kind)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(file, partial(np.save, arr=features, allow_pickle=False))
        features = np.load(file, allow_pickle=False)
        assert isinstance(features, np.ndarray)
        return features

    @torch.no_grad()
    def _compute(self, images: Images, kind: str) -> np.ndarray:
        loader = evaluation_loader(images, self.batch_size, self.num_workers, self.fabric.device)
        training, rows = self.embedder.training, []
        self.embedder.eval()
        try:
            activity = f"embedding {kind} images"
            for batch, _ in progress_bar(loader, len(loader), activity, self.progress):
                with self.fabric.autocast():
                    rows.append(self.embedder.features(batch).float().cpu())
        finally:
            self.embedder.train(training)
        return torch.cat(rows).numpy()

    def _key(self, images: Images, kind: str) -> str:
        """Hash of all that decides the features."""
        transform = images.transform
        parts = [
            cache_name(images.paths, [*transform.deterministic, *transform.random]),
            kind,
            "decoded on the device" if images.on_device else "decoded on the host",
            str(self.fabric.strategy.precision.precision),
            str(self.batch_size),
            weights_hash(self.embedder),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def weights_hash(embedder: Embedder) -> str:
    """SHA-256 of the structure and the weights of an embedder without its head."""
    parts = embedder.normalization, embedder.trunk, embedder.pool
    digest = hashlib.sha256("".join(map(str, parts)).encode())
    for part in parts:
        for name, value in chain(part.named_parameters(), part.named_buffers()):
            content = io.BytesIO()
            np.save(content, value.detach().cpu().numpy(), allow_pickle=False)
            digest.update(name.encode() + content.getvalue())
    return digest.hexdigest()
