"""Every trainable parameter learns at exactly one rate."""

import pytest
from torch import nn

from core.parameter_groups import Groups
from engine.parameter_groups import parameter_groups


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Linear(3, 2), nn.Linear(2, 2)


class Proxies(nn.Module):
    def __init__(self, listed: int) -> None:
        super().__init__()
        self.proxies = nn.Linear(2, 2, bias=False)
        self.listed = listed

    def parameter_groups(self) -> Groups:
        group = {"params": list(self.proxies.parameters()), "lr": 0.5, "weight_decay": 0.0}
        return [group] * self.listed


def test_head_and_criterion_have_their_own_rates() -> None:
    groups = parameter_groups(Model(), Proxies(listed=1), head_lr=0.25)
    assert [group["name"] for group in groups] == ["backbone", "head", "criterion"]
    assert [group.get("lr") for group in groups] == [None, 0.25, 0.5]
    assert groups[2]["weight_decay"] == 0


def test_frozen_parameters_are_in_no_group() -> None:
    model = Model()
    model.trunk.requires_grad_(False)
    groups = parameter_groups(model, nn.Identity(), head_lr=None)
    assert [group["name"] for group in groups] == ["head"]


@pytest.mark.parametrize("listed", [0, 2])
def test_refuses_a_parameter_in_no_group_or_in_two(listed: int) -> None:
    with pytest.raises(ValueError, match=rf"criterion\.proxies\.weight is in {listed}"):
        parameter_groups(Model(), Proxies(listed), head_lr=None)
