"""Embedding is a measurement: it must leave the run exactly as it found it."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evaluation.embed import embed

CPU = torch.device("cpu")


class Restless(nn.Module):
    """A model that draws from every source of randomness, in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        self.frozen = nn.BatchNorm1d(3).eval()

    def forward(self, images: Tensor) -> Tensor:
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        return self.frozen(self.layers(images.float()))


def loader() -> list[tuple[Tensor, Tensor]]:
    images = torch.arange(24, dtype=torch.uint8).view(6, 4)
    return [(images[:4], torch.tensor([0, 0, 1, 1])), (images[4:], torch.tensor([2, 2]))]


@pytest.mark.parametrize("training", [True, False])
def test_changes_neither_modes_nor_weights_nor_randomness(training: bool) -> None:
    model = Restless()
    model.layers.train(training)
    model.frozen.eval()
    modes = [module.training for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    embed(model, loader(), CPU)
    assert [module.training for module in model.modules()] == modes
    assert all(value.equal(weights[name]) for name, value in model.state_dict().items())
    assert torch.get_rng_state().equal(states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert random.getstate() == states[2]


def test_embeds_every_sample_in_order_in_evaluation_mode() -> None:
    model = Restless().train()
    embeddings, labels = embed(model, loader(), CPU)
    images = torch.cat([images for images, _ in loader()])
    expected = model.eval()(images)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert not embeddings.requires_grad
    torch.testing.assert_close(embeddings, expected.detach())


def test_half_precision_embeddings_are_widened() -> None:
    model = nn.Linear(4, 3).bfloat16()
    batches = [(images.bfloat16(), labels) for images, labels in loader()]
    assert embed(model, batches, CPU).embeddings.dtype == torch.float32


def test_modes_come_back_after_an_error_and_an_empty_loader_is_one() -> None:
    model = nn.Linear(5, 3).train()
    with pytest.raises(RuntimeError, match="shapes"):
        embed(model, [(images.float(), labels) for images, labels in loader()], CPU)
    assert model.training
    with pytest.raises(ValueError, match="no batches"):
        embed(model, [], CPU)
