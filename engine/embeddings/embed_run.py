"""Embedding of many images by a run: a folder, a CSV file or a dataset, into an embedding file."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from core.files import write_text_atomically
from core.ranges import PositiveInt
from datasets.table import DatasetError
from engine.build import load_table
from engine.config.names import Text
from engine.data.image_files import check_no_duplicates, read_image_files
from engine.embeddings.embed_parts import OnPart, embed_parts, shard_of, use_local_device
from engine.embeddings.embedding_file import EmbeddingFile
from engine.embeddings.origin import origin_of
from engine.load import TrainedEmbedder
from engine.trained_run import TrainedRun, load_model, load_weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbedSettings:
    """Keys of conf/embed.yaml."""

    run: Text
    images: Text | None
    split: Literal["all", "train", "val", "test"]
    out: Text
    shard: Text | None
    unreadable: Literal["error", "skip"]
    row_group: PositiveInt
    force: bool
    trust: Text | Sequence[Text]


def embed_run(
    run: TrainedRun, config: DictConfig, settings: EmbedSettings, on_part: OnPart
) -> Path | None:
    """Embed the images that the settings name by a run; returns the file.

    Args:
        run: the run folder and the checkpoint.
        config: the configuration of the run on this machine, whose dataset is embedded if the
            settings name no images.
        settings: the keys of the command.
        on_part: called after each part.

    Returns:
        The file that holds all embeddings; None if other processes write parts that are missing.

    Raises:
        UserError: there are no images, one cannot be read, or the file holds other embeddings.
    """
    shard = shard_of(settings.shard)
    table = images_of(config, settings)
    use_local_device(config.trainer)
    weights = load_weights(run.checkpoint)
    embedder = TrainedEmbedder(run, config, load_model(config, weights).embedder)
    rows = -(-settings.row_group // embedder.batch_size) * embedder.batch_size
    path = Path(settings.out).expanduser().absolute()
    origin = metadata(embedder, weights.step) | {"unreadable": settings.unreadable}
    file = EmbeddingFile(path, table, embedder.embedding_dim, origin, rows)
    if not settings.force and path.exists():
        file.check_same()
        return path
    embed_parts(embedder, file, shard, settings.unreadable == "skip", on_part)
    left_out = file.finish()
    if left_out is None:
        return path if file.is_finished else None
    report_left_out(path, left_out, len(table))
    return path


def images_of(config: DictConfig, settings: EmbedSettings) -> pd.DataFrame:
    """The table of the images to embed: path, label and what else is known.

    Raises:
        DatasetError: there are no images, or one occurs twice.
    """
    if settings.images is not None:
        return read_image_files(settings.images, must_exist=settings.unreadable == "error")
    table = load_table(config)
    if settings.split != "all":
        table = table[table["split"] == settings.split]
    if table.empty:
        raise DatasetError(f"{config.dataset._target_} has no images of split {settings.split}")
    check_no_duplicates(str(config.dataset._target_), table["path"])
    return table.reset_index(drop=True)


def metadata(embedder: TrainedEmbedder, step: int) -> dict[str, str]:
    """What the schema of the file says about the embeddings."""
    config = embedder.config
    return {
        **origin_of(embedder.run).metadata(),
        "step": str(step),
        "embedding_dim": str(embedder.embedding_dim),
        "normalized": json.dumps(embedder.normalized),
        "transform": json.dumps(OmegaConf.to_container(config.transform, resolve=True)),
        "precision": str(config.trainer.precision),
        "batch_size": str(embedder.batch_size),
    }


def report_left_out(file: Path, left_out: list[list[str]], total: int) -> None:
    """List the images that are left out in a CSV file beside the file, and say how many."""
    listing = file.with_suffix(".unreadable.csv")
    if not left_out:
        listing.unlink(missing_ok=True)
        return
    rows = pd.DataFrame(left_out, columns=["path", "reason"])
    write_text_atomically(listing, rows.to_csv(index=False, lineterminator="\n"))
    log.warning("%d of %d images cannot be read, see %s", len(left_out), total, listing)
