"""Files of an evaluation: numbers, one row per query, pictures, embeddings and neighbours."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from core.files import write_text_atomically
from datasets.images import Images
from engine.embeddings.embedded_images import EmbeddedImages
from engine.evaluation_tables import write_embeddings, write_neighbors
from engine.inspection import InspectionData, write_inspection_report
from evaluation.categories import category_names
from evaluation.embed import Embedded
from evaluation.evaluator import Evaluator
from evaluation.per_query import PerQuery, save
from evaluation.results import Results
from tracking.metrics_log import finite


def write_evaluation(
    folder: Path,
    evaluation: Evaluator,
    data: EmbeddedImages,
    queries: PerQuery,
    results: Results,
    about: Mapping[str, Any],
    config: DictConfig,
) -> dict[str, Path]:
    """Write all files of an evaluation into a folder; returns {name of a picture: PNG file}.

    Args:
        queries: the table of `evaluation.per_query`; gets the column `class`.
        results: the metrics, by the names that metrics.json has.
        about: what metrics.json says besides the metrics.
        config: with the keys `draw`, `pictures` and `write` of conf/evaluate.yaml.
    """
    names = class_names(evaluation, data.images)
    queries.insert(2, "class", [names[label] for label in queries["label"]])
    folder.mkdir(parents=True, exist_ok=True)
    content = {**about, "metrics": finite(results)}
    text = json.dumps(content, indent=2, allow_nan=False)
    write_text_atomically(folder / "metrics.json", f"{text}\n")
    save(queries, folder / "queries.parquet")
    if config.write.embeddings:
        write_embeddings(folder / "embeddings.parquet", data)
    if not (config.write.neighbors or config.draw):
        return {}
    shown = inspection_data(evaluation, data, queries)
    if config.write.neighbors:
        write_neighbors(folder / "neighbors.parquet", shown)
    return write_inspection_report(shown, folder, **config.pictures) if config.draw else {}


def class_names(evaluation: Evaluator, images: Images) -> list[str]:
    """The names of the labels that are evaluated: classes, or categories."""
    return images.class_names if evaluation.level == "label" else category_names(images.categories)


def inspection_data(
    evaluation: Evaluator, data: EmbeddedImages, queries: PerQuery
) -> InspectionData:
    """What the pictures show: embeddings and labels as they were evaluated."""
    samples = evaluation.prepare(data.samples)
    return InspectionData(
        data.images,
        Embedded(samples.embeddings, samples.labels),
        evaluation.config.distance,
        queries,
        class_names(evaluation, data.images),
        within_category=evaluation.within == "category",
        ignore_groups=data.ignore_groups,
        has_files=data.has_files,
    )
