"""What one looks at after the numbers: pictures and the hardest classes, as files in a folder."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from core.files import write_text_atomically
from core.ranges import NonNegativeInt, PositiveInt, Seed
from datasets.images import Images
from datasets.reader import read_image
from engine.progress import watched
from evaluation.class_report import class_report, markdown
from evaluation.embed import Embedded
from evaluation.figures.class_map import class_map, sample_of_classes
from evaluation.figures.neighbor_grid import Answer, neighbor_grid
from evaluation.figures.recall_curve import recall_curve
from evaluation.figures.spectrum import spectrum_picture
from evaluation.figures.style import save
from evaluation.metrics.spectrum import singular_values
from evaluation.per_query import PerQuery
from evaluation.search.space import Distance, normalize_for_search

log = logging.getLogger(__name__)

VECTORS = ("recall_curve", "spectrum", "class_map")  # are written as PDF, too
LONGEST = 17  # letters of a class name above its picture


class InspectionData(NamedTuple):
    """An evaluated split: the images, where they lie, and what each query found."""

    images: Images
    embedded: Embedded
    distance: Distance
    queries: PerQuery

    @property
    def answered(self) -> PerQuery:
        """The queries that have something to find."""
        found = self.queries[self.queries["num_relevant"] > 0]
        return found.astype({"first_hit": "int64"})


def write_inspection_report(
    looked: InspectionData,
    folder: Path,
    *,
    map_images: PositiveInt,
    queries: PositiveInt,
    hardest: NonNegativeInt,
    seed: Seed,
) -> dict[str, Path]:
    """Write the pictures and the tables of classes into `folder`; name of each picture -> PNG.

    Args:
        map_images: most images that t-SNE lays out.
        queries: how many of the best, of the worst and of random ones are shown.
        hardest: classes in `hardest_classes.md`; `classes.csv` has all of them.
        seed: of whatever is drawn by lot.
    """
    drawings = {
        "spectrum": lambda: spectrum_of(looked),
        "class_map": lambda: class_map_of(looked, map_images, seed),
    }
    if looked.queries["num_relevant"].any():
        drawings["recall_curve"] = lambda: recall_curve_of(looked)
        drawings["neighbors"] = lambda: neighbors_of(looked, queries, seed)
        write_classes(looked, folder, hardest)
    else:
        log.warning("no query has anything to find: there is no picture of what is found")
    pictures = {}
    for name in watched(drawings, len(drawings), "drawing"):
        figure = drawings[name]()
        pictures[name] = folder / f"{name}.png"
        for suffix in (".png", ".pdf") if name in VECTORS else (".png",):
            save(figure, folder / f"{name}{suffix}")
    return pictures


def spectrum_of(looked: InspectionData) -> Figure:
    return spectrum_picture(singular_values(looked.embedded.embeddings).cpu().numpy())


def class_map_of(looked: InspectionData, most: int, seed: int) -> Figure:
    chosen = sample_of_classes(looked.images.labels, most, seed)
    points = normalize_for_search(looked.embedded.embeddings, looked.distance).cpu().numpy()
    images = looked.images
    return class_map(points[chosen], images.labels[chosen], images.class_names, seed)


def recall_curve_of(looked: InspectionData) -> Figure:
    answered, images = looked.answered, looked.images
    candidates = images.is_gallery.sum() - images.is_gallery[answered["query"]]
    return recall_curve(
        answered["first_hit"].to_numpy(), answered["num_relevant"].to_numpy(), candidates
    )


def neighbors_of(looked: InspectionData, most: int, seed: int) -> Figure:
    """The best and the worst queries, no two of a class, and random ones."""
    ascending = looked.answered.sort_values("average_precision", kind="stable")
    groups = {
        "best": ascending[::-1].drop_duplicates("label").head(most),
        "worst": ascending.drop_duplicates("label").head(most),
        "random": ascending.sample(min(most, len(ascending)), random_state=seed),
    }
    return neighbor_grid({name: list(answers(looked, rows)) for name, rows in groups.items()})


def answers(looked: InspectionData, rows: PerQuery) -> Iterator[Answer]:
    images = looked.images
    for query, precision, found in zip(
        rows["query"], rows["average_precision"], rows["neighbors"], strict=True
    ):
        label = images.labels[query]
        yield Answer(
            query=read_image(images.paths[query]),
            caption=f"{shortened(images.class_names[label])}\nAP {precision:.2f}",
            found=[read_image(images.paths[neighbor]) for neighbor in found],
            is_right=[bool(images.labels[neighbor] == label) for neighbor in found],
        )


def shortened(name: str) -> str:
    """The beginning and the end: both may tell a class from its sisters."""
    half = LONGEST // 2
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def write_classes(looked: InspectionData, folder: Path, hardest: int) -> None:
    answered, labels = looked.answered, looked.images.labels
    nearest = np.array([neighbors[0] for neighbors in answered["neighbors"]])
    table = class_report(
        labels[answered["query"]],
        answered["first_hit"].to_numpy(),
        answered["average_precision"].to_numpy(),
        labels[nearest],
        looked.images.class_names,
    )
    write_text_atomically(folder / "classes.csv", table.to_csv(index=False))
    write_text_atomically(folder / "hardest_classes.md", markdown(table.head(hardest)))
