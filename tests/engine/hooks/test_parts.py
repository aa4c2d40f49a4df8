"""Weights beside and parts of an embedding in one name: `val/ema/slice_1/recall@1`."""

import pytest

from engine.config.errors import ConfigurationError
from engine.config.selection import check_parts, check_selection
from tests.engine.test_configuration import composed

CASCADED = ("dataset=digits", "validation=samples", "method._target_=methods.method.Method")


@pytest.mark.parametrize("name", ["val/ema/recall@1", "val/ema/slice_1/recall@1"])
def test_a_metric_names_the_weights_and_then_the_part(name: str) -> None:
    config = composed(*CASCADED, "hooks=[ema]", f"evaluation.select_on={name}")
    check_selection(config)
    check_parts(config, ["slice_1"])


def test_a_part_that_early_stopping_waits_for_must_exist() -> None:
    metric = "hooks.early_stopping.metric=val/slice_9/recall@1"
    config = composed(*CASCADED, "hooks=[early_stopping]", metric)
    check_parts(config, ["slice_9"])
    with pytest.raises(
        ConfigurationError, match=r"^hooks.early_stopping.metric=val/slice_9/recall@1: the"
    ):
        check_parts(config, ["slice_1"])
