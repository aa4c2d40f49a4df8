"""A run needs images to train on and others to test."""

import pytest

from datasets.digits import digits
from datasets.table import DatasetError
from engine.build import images_of
from tests.engine.test_configuration import composed


@pytest.mark.parametrize(("only", "absent"), [("train", "test"), ("test", "train")])
def test_a_table_without_a_split_is_named(only: str, absent: str) -> None:
    """A user's CSV file had rows of one split: an IndexError came after the first epoch."""
    config = composed("dataset=csv", "dataset.path=/some/mine.csv", "transform=small")
    table = digits().query(f"split == '{only}'")
    with pytest.raises(DatasetError, match=rf"/some/mine\.csv has no images of split {absent}; "):
        images_of(config, table)
