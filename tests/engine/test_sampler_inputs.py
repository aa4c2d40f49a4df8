"""What the engine passes to a sampler: the inputs that its signature names, and no others."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from core.errors import ComponentError
from datasets.images import Images
from datasets.table import DatasetError
from engine.contracts import SAMPLER_INPUTS, check_sampler_call
from engine.sampler_inputs import sampler_inputs
from tests.samplers import training_images

LABELS = np.array([2, 0, 1, 3, 2])


@pytest.fixture
def train() -> Images:
    images = training_images(LABELS)
    images.is_query[:] = images.is_gallery[:] = True
    images.is_query[1] = images.is_gallery[0] = False
    return images


def labels_only(labels: object, seed: int = 0) -> None: ...


def everything(
    labels: object,
    rows: object,
    paths: object,
    is_gallery: object,
    is_query: object,
    categories: object,
) -> None: ...


def anything(**_values: object) -> None: ...


def categories_if_there_are_any(labels: object, categories: object = None) -> None: ...


def unknown(labels: object, batch_size: int, weights: object) -> None: ...


@pytest.mark.parametrize("factory", [labels_only, anything, partial(labels_only, seed=3)])
def test_a_sampler_of_labels_receives_them_alone(
    factory: Callable[..., object], train: Images
) -> None:
    check_sampler_call(factory)
    (given,) = sampler_inputs(factory, train).items()
    assert given[0] == "labels"
    np.testing.assert_array_equal(given[1], LABELS)


def test_a_sampler_receives_each_input_that_it_names(train: Images) -> None:
    check_sampler_call(everything)
    given = sampler_inputs(everything, train)
    assert set(given) == set(SAMPLER_INPUTS)
    assert given["categories"] == [f"category {label % 4}" for label in LABELS]
    assert np.asarray(given["rows"]).tolist() == [0, 1, 2, 3, 4]
    assert given["paths"] == [f"{index}.png" for index in range(5)]
    assert np.asarray(given["is_query"]).tolist() == [True, False, True, True, True]
    assert np.asarray(given["is_gallery"]).tolist() == [False, True, True, True, True]


def test_a_value_of_the_yaml_is_kept(train: Images) -> None:
    factory = partial(categories_if_there_are_any, categories=["my own"])
    assert set(sampler_inputs(factory, train)) == {"labels"}


def test_a_dataset_without_categories_is_one_line(train: Images) -> None:
    train.categories[3] = train.categories[4] = ""
    with pytest.raises(
        DatasetError,
        match="everything: needs the category of every training image, and 2 of 5 have none;",
    ) as error:
        sampler_inputs(partial(everything, paths=[]), train)
    assert "\n" not in str(error.value)
    assert set(sampler_inputs(categories_if_there_are_any, train)) == {"labels"}


def test_what_a_run_does_not_have_is_named_before_it_starts() -> None:
    check_sampler_call(partial(unknown, batch_size=8, weights=[1]))
    with pytest.raises(
        ComponentError, match=r"sampler unknown: asks for weights; a run has labels, categories,"
    ):
        check_sampler_call(partial(unknown, batch_size=8))
