"""Inputs of a sampler: what a run passes to its class or function, by the names of the parameters.

    labels      int64 (S,) class of every training image, 0..C-1; every sampler takes them
    categories  (S,) super-class of every training image, as text
    is_query    bool (S,) whether a training image is a query when its split is evaluated
    is_gallery  bool (S,) whether it is in the gallery
    paths       S paths
    rows        int64 (S,) row of every training image in the table of the dataset

A sampler receives those that it names, except where its YAML gives the argument a value.
"""

import inspect
from collections.abc import Callable

from datasets.images import Images
from datasets.table import DatasetError
from engine.contracts import SAMPLER_INPUTS, factory_name


def sampler_inputs(factory: Callable[..., object], train: Images) -> dict[str, object]:
    """The inputs of a sampler, by name.

    Args:
        factory: the class, function or partial that builds the sampler.
        train: the training images.

    Raises:
        DatasetError: the sampler needs categories, its parameter has no default, and an image has
            no category.
    """
    parameters = inspect.signature(factory).parameters
    given = set(getattr(factory, "keywords", ())) - {"labels"}
    names = ["labels", *(name for name in SAMPLER_INPUTS[1:] if name in set(parameters) - given)]
    if "categories" in names and (missing := train.categories.count("")):
        if parameters["categories"].default is inspect.Parameter.empty:
            raise DatasetError(
                f"sampler {factory_name(factory)}: needs the category of every training image, and "
                f"{missing} of {len(train)} have none; choose a dataset whose column category has "
                "the super-classes, or another sampler"
            )
        names.remove("categories")
    return {name: getattr(train, name) for name in names}
