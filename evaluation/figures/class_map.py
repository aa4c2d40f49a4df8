"""Class map: t-SNE of the embeddings, coloured by class."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from sklearn.manifold import TSNE

from evaluation.figures.style import MARKERS, TWO_COLUMNS, styled

MAX_LEGEND_CLASSES = 12  # largest number of classes for which a legend is drawn
PER_CLASS = 20  # images per class, if available; with fewer, the map shows fewer classes
PERPLEXITY = 30.0  # van der Maaten & Hinton 2008: 5 to 50

Points = Float[np.ndarray, "N D"]
Labels = Int[np.ndarray, " N"]


def class_map(points: Points, labels: Labels, class_names: list[str], seed: int = 0) -> Figure:
    """Class map: t-SNE of the points, which shows neighbourhoods but not distances.

    Each class has a colour and a marker; they repeat from the 57th class on.

    Args:
        points: embeddings, compared by Euclidean distance; unit vectors for cosine.
        labels: indices into `class_names`.
        class_names: names of all classes.
        seed: seed of t-SNE.
    """
    coordinates = layout(points, seed)
    present = np.unique(labels)
    with styled():
        figure = Figure(figsize=(TWO_COLUMNS, 5), layout="constrained")
        axes = figure.add_subplot(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        for index, label in enumerate(present):
            colour, shape = MARKERS[index % len(MARKERS)]
            x, y = coordinates[labels == label].T
            axes.scatter(x, y, s=10, c=colour, marker=shape, lw=0)
        repeated = f"; looks repeat after {len(MARKERS)}" if len(present) > len(MARKERS) else ""
        axes.set_title(f"t-SNE of {len(labels):,} images of {len(present):,} classes{repeated}")
        axes.spines[:].set_visible(False)
        if len(present) <= MAX_LEGEND_CLASSES:
            names = [class_names[label] for label in present]
            figure.legend(axes.collections, names, loc="outside right upper", markerscale=2)
    return figure


def layout(points: Points, seed: int) -> Float[np.ndarray, "N 2"]:
    """Coordinates by t-SNE, initialised by the first two principal components if they exist."""
    if len(points) < 3:
        return np.eye(2)[: len(points)]
    start = "pca" if np.linalg.matrix_rank(points - points.mean(axis=0)) >= 2 else "random"
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init=start, random_state=seed)  # type: ignore[no-untyped-call]
    coordinates: Float[np.ndarray, "N 2"] = tsne.fit_transform(points)
    return coordinates


def sample_of_classes(labels: Labels, most: int, seed: int) -> Int[np.ndarray, " M"]:
    """Class sample: indices of at most `most` samples, ascending, with enough of each class.

    Every class has the same number of samples if that is at least `PER_CLASS`. Otherwise some
    classes have `PER_CLASS` samples each. Classes and samples are drawn at random by `seed`.
    """
    if most < 1:
        raise ValueError(f"the map needs at least one image, got {most}")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    classes = rng.permutation(np.unique(labels))
    quota = max(most // len(classes), PER_CLASS)
    by_class = [shuffled[labels[shuffled] == label][:quota] for label in classes]
    return np.sort(np.concatenate(by_class)[:most])
