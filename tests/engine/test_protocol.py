"""A run next to the study that it claims."""

from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from engine.config.protocol import ProtocolCheck, check_claimed_protocol, compare, table
from engine.config.run_name import CONF

MARGIN = "experiment=roth2020/cub200/margin_b12_distance"


def claim(*overrides: str) -> ProtocolCheck | None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return check_claimed_protocol(compose("config", overrides=list(overrides)), overrides)


def deviations(*overrides: str) -> dict[str, tuple[Any, Any]]:
    found = claim(*overrides)
    assert found
    return {key: (there, here) for key, there, here in found.deviations}


def test_nothing_claimed() -> None:
    assert claim("loss=triplet") is None


@pytest.mark.parametrize(
    "free", ["seed=3", "paths.runs=elsewhere", "tracker.mode=disabled", "trainer.workers=0"]
)
def test_what_changes_no_number_is_no_difference(free: str) -> None:
    assert not deviations(MARGIN, free)
    assert not deviations(MARGIN)


def test_a_changed_number_is_one_difference_with_both_values() -> None:
    """The embedding size stands in the loss, too, where it is the backbone's."""
    overrides = ("experiment=roth2020/cub200/arcface", "backbone.embedding_dim=512")
    assert deviations(*overrides) == {"backbone.embedding_dim": (128, 512)}


def test_another_network_is_one_difference() -> None:
    found = deviations(MARGIN, "backbone=bninception", "transform.crop=256")
    assert found == {"backbone": ("resnet50", "bninception"), "transform.crop": (224, 256)}


def test_other_choices_that_bring_others_are_seen() -> None:
    found = deviations(MARGIN, "validation=classes", "sampler=class_random", "metric=[nmi]")
    assert found == {"validation": ("none", "classes"), "sampler.replacement": (True, False)}


def test_the_loss_of_a_row_is_part_of_it() -> None:
    found = deviations("experiment=roth2020/cub200/softmax", "loss=triplet", "batchminer=random")
    assert found["loss"] == ("NormalizedSoftmax", "TripletMargin")
    assert found["batchminer"] == ("NoneType", "RandomMiner")


def test_a_protocol_leaves_loss_and_miner_open_but_nothing_else() -> None:
    assert not deviations("protocol=roth2020/sop", "loss=triplet", "loss.margin=0.1")
    found = deviations("protocol=roth2020/sop", "batchminer=random", "trainer.epochs=9")
    assert found == {"trainer.epochs": (100, 9)}


def test_an_experiment_claims_more_than_its_protocol() -> None:
    found = claim("protocol=roth2020/cub200", MARGIN)
    assert found
    assert found.name == MARGIN


def test_any_run_can_be_held_against_a_study() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=["loss=triplet"])
    found = compare(config, ["loss=triplet"], "protocol=roth2020/cub200")
    assert "backbone.batchnorm" in [difference.key for difference in found.deviations]


def test_it_leaves_hydra_as_it_was() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        at_work = GlobalHydra.instance().hydra
        config = compose("config", overrides=[MARGIN])
        compare(config, [MARGIN], MARGIN)
        assert GlobalHydra.instance().hydra is at_work


def test_the_table_gives_the_reason() -> None:
    found = claim(MARGIN, "transform.crop=256")
    assert found
    console = Console(width=100, record=True, quiet=False, file=None)
    with console.capture() as captured:
        console.print(table(found))
    assert "larger images score higher" in captured.get()
    assert found.record() == {
        "claim": MARGIN,
        "differences": {"transform.crop": {"protocol": 224, "run": 256}},
    }
