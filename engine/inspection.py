"""Inspection report: writes pictures and a table of the hardest classes of an evaluated split."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from core.files import write_text_atomically
from core.ranges import NonNegativeInt, PositiveInt, Seed
from datasets.images import Images
from datasets.reader import read_image
from engine.progress import progress_bar
from evaluation.class_report import class_report, markdown
from evaluation.embed import Embedded
from evaluation.figures.class_map import class_map, sample_of_classes
from evaluation.figures.neighbor_grid import Answer, neighbor_grid
from evaluation.figures.recall_curve import recall_curve
from evaluation.figures.spectrum import spectrum_picture
from evaluation.figures.style import WIDTHS, save
from evaluation.metrics.spectrum import singular_values
from evaluation.per_query import PerQuery
from evaluation.search.ignored_items import Groups
from evaluation.search.space import Distance, normalize_for_search

log = logging.getLogger(__name__)

DEPTHS = {1: 5, 2: 10}  # neighbours beside each other in one or two columns of a page


class InspectionData(NamedTuple):
    """An evaluated split: its images, embeddings, distance and the results of every query.

    Args:
        embedded: the embeddings and labels that were evaluated, see `Evaluator.prepare`.
        class_names: name of each label.
        within_category: whether queries searched their category only.
        ignore_groups: of the images; a query ignores its group, and without groups itself.
        has_files: whether the image files can be shown.
    """

    images: Images
    embedded: Embedded
    distance: Distance
    queries: PerQuery
    class_names: Sequence[str]
    within_category: bool = False
    ignore_groups: Groups | None = None
    has_files: bool = True

    @property
    def labels(self) -> NDArray[np.int64]:
        """Label of each image, as it was evaluated."""
        labels: NDArray[np.int64] = self.embedded.labels.cpu().numpy()
        return labels

    @property
    def with_relevant(self) -> PerQuery:
        """The queries that have a relevant image in the gallery."""
        rows = self.queries[self.queries["num_relevant"] > 0]
        return rows.astype({"first_hit": "int64"})


def write_inspection_report(
    data: InspectionData,
    folder: Path,
    *,
    map_images: PositiveInt,
    queries: PositiveInt,
    hardest: NonNegativeInt,
    seed: Seed,
    columns: Literal[1, 2] = 2,
) -> dict[str, Path]:
    """Write pictures and tables of classes into `folder`; returns {name of a picture: PNG file}.

    Args:
        map_images: maximum number of images in the t-SNE map.
        queries: number of best, of worst and of random queries in the grid of neighbours.
        hardest: number of classes in `hardest_classes.md`; `classes.csv` lists all classes.
        seed: seed of the random choices.
        columns: width of the grid of neighbours, in columns of a page: 5 or 10 neighbours.
    """
    drawings = {
        "spectrum": lambda: spectrum_of(data),
        "class_map": lambda: class_map_of(data, map_images, seed),
    }
    if data.queries["num_relevant"].any():
        drawings["recall_curve"] = lambda: recall_curve_of(data)
        if data.has_files:
            drawings["neighbors"] = lambda: neighbors_of(data, queries, columns, seed)
        write_class_tables(data, folder, hardest)
    else:
        log.warning("no query has a relevant image: the pictures of search results are left out")
    pictures = {}
    for name in progress_bar(drawings, len(drawings), "drawing"):
        figure = drawings[name]()
        pictures[name] = folder / f"{name}.png"
        for suffix in (".png", ".pdf"):
            save(figure, folder / f"{name}{suffix}")
    return pictures


def spectrum_of(data: InspectionData) -> Figure:
    """Picture of the singular values of the embeddings."""
    return spectrum_picture(singular_values(data.embedded.embeddings).cpu().numpy())


def class_map_of(data: InspectionData, limit: int, seed: int) -> Figure:
    """t-SNE map of at most `limit` images."""
    chosen = sample_of_classes(data.labels, limit, seed)
    points = normalize_for_search(data.embedded.embeddings, data.distance).cpu().numpy()
    return class_map(points[chosen], data.labels[chosen], list(data.class_names), seed)


def recall_curve_of(data: InspectionData) -> Figure:
    """Curve of Recall@k over k."""
    with_relevant = data.with_relevant
    return recall_curve(
        with_relevant["first_hit"].to_numpy(),
        with_relevant["num_relevant"].to_numpy(),
        num_candidates(data)[with_relevant["query"]],
    )


def num_candidates(data: InspectionData) -> NDArray[np.int64]:
    """Number of gallery images that each image searches as a query, without those it ignores."""
    images = data.images
    searched = images.categories if data.within_category else [""] * len(images)
    category = np.unique(np.asarray(searched), return_inverse=True)[1]
    groups = data.ignore_groups
    ignored: NDArray[np.int64] = images.is_gallery.astype(np.int64)
    if groups is not None:
        ignored = sizes_of(np.stack([category, groups.cpu().numpy()], axis=1), images.is_gallery)
    candidates: NDArray[np.int64] = sizes_of(category, images.is_gallery) - ignored
    return candidates


def sizes_of(groups: NDArray[np.int64], is_gallery: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of gallery images in the group of each image; a group is a number or a row."""
    number = np.unique(groups, axis=0, return_inverse=True)[1]
    sizes: NDArray[np.int64] = np.bincount(number, weights=is_gallery).astype(np.int64)[number]
    return sizes


def neighbors_of(data: InspectionData, limit: int, columns: int, seed: int) -> Figure:
    """Grid of neighbours of the best and worst queries of different classes, and of random ones."""
    ascending = data.with_relevant.sort_values("average_precision", kind="stable")
    groups = {
        "best": ascending[::-1].drop_duplicates("label").head(limit),
        "worst": ascending.drop_duplicates("label").head(limit),
        "random": ascending.sample(min(limit, len(ascending)), random_state=seed),
    }
    depth = DEPTHS[columns]
    drawn = {name: list(answers(data, rows, depth)) for name, rows in groups.items()}
    return neighbor_grid(drawn, WIDTHS[columns])


def answers(data: InspectionData, rows: PerQuery, depth: int) -> Iterator[Answer]:
    """The query image of every row with its first `depth` neighbours."""
    images = data.images
    for query, precision, neighbors in zip(
        rows["query"], rows["average_precision"], rows["neighbors"], strict=True
    ):
        label, found = data.labels[query], neighbors[:depth]
        yield Answer(
            query=read_image(images.paths[query]),
            lines=[data.class_names[label], f"AP {precision:.2f}"],
            found=[read_image(images.paths[neighbor]) for neighbor in found],
            names=[data.class_names[data.labels[neighbor]] for neighbor in found],
            is_right=[bool(data.labels[neighbor] == label) for neighbor in found],
        )


def write_class_tables(data: InspectionData, folder: Path, hardest: int) -> None:
    """Write `classes.csv` and `hardest_classes.md`."""
    with_relevant, labels = data.with_relevant, data.labels
    nearest = np.array([neighbors[0] for neighbors in with_relevant["neighbors"]])
    table = class_report(
        labels[with_relevant["query"]],
        with_relevant["first_hit"].to_numpy(),
        with_relevant["average_precision"].to_numpy(),
        labels[nearest],
        list(data.class_names),
    )
    write_text_atomically(folder / "classes.csv", table.to_csv(index=False))
    write_text_atomically(folder / "hardest_classes.md", markdown(table.head(hardest)))
