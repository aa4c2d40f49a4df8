"""Added keys leave the name of a run folder alone while they change nothing."""

from typing import Any

import pytest

from engine.config import added_keys
from engine.config.added_keys import with_added_keys, without_added_keys


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(added_keys, "TOP_LEVEL", {"hooks": []})
    monkeypatch.setattr(
        added_keys, "COMPONENTS", {"criteria.x.X": {"swap": False, "distance": None}}
    )
    monkeypatch.setattr(added_keys, "SETTINGS", {"trainer": {"features": None}})


def config(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    loss = {"_target_": "criteria.x.X", "margin": 0.2, "swap": False, "distance": None}
    content = {"hooks": [], "trainer": {"epochs": 1, "features": None}, "loss": {"part": [loss]}}
    for key, value in changes.items():
        node: Any = {"trainer": content["trainer"], "loss": loss, "root": content}[key]
        node.update(value)
    return content


def test_values_that_change_nothing_are_left_out_at_any_depth() -> None:
    loss = {"_target_": "criteria.x.X", "margin": 0.2}
    assert without_added_keys(config()) == {"trainer": {"epochs": 1}, "loss": {"part": [loss]}}


def test_an_earlier_configuration_gets_what_was_added() -> None:
    later = config()
    earlier = without_added_keys(later)
    assert with_added_keys(earlier) == {k: v for k, v in later.items() if k != "hooks"}
    chosen = config(loss={"swap": True}, trainer={"features": "frozen"})
    assert with_added_keys(chosen) == chosen
    assert without_added_keys(with_added_keys(earlier)) == earlier


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": {"swap": True}},
        {"loss": {"swap": 0}},  # equal to False, but of another type
        {"trainer": {"features": "frozen"}},
        {"root": {"hooks": [{"_target_": "my.Hook"}]}},
    ],
)
def test_any_other_value_counts(changes: dict[str, Any]) -> None:
    assert without_added_keys(config(**changes)) != without_added_keys(config())


def test_other_components_keep_a_key_of_the_same_name() -> None:
    other = {"loss": {"_target_": "criteria.y.Y", "swap": False}}
    assert without_added_keys(other) == other
