"""Batches are planned on the device of the rows, where no two devices are mixed up."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import _disable_current_modes

from datasampler.planning.stored_embeddings import StoredEmbeddings
from tests.datasampler.planning.test_embedding_sampler import EMBEDDINGS, LABELS, SAMPLERS, build
from tests.fake_device import FakeDevice


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_batch_is_that_of_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = build(name)
    rows = sampler.storage.rows()
    expected = sampler.plan(rows, np.random.default_rng(0))
    device, to_numpy = FakeDevice({}), torch.Tensor.numpy

    def numpy_of(tensor: torch.Tensor) -> np.ndarray:
        assert tensor.device.type == "cpu"
        with _disable_current_modes():
            return to_numpy(device.value(tensor))

    monkeypatch.setattr(torch.Tensor, "numpy", numpy_of)
    with device:
        planned = sampler.plan(device.placed(rows), np.random.default_rng(0))
    np.testing.assert_array_equal(planned, expected)


def test_rows_are_replaced_on_the_device() -> None:
    device, storage = FakeDevice({}), StoredEmbeddings(momentum=0.5)
    other = StoredEmbeddings(momentum=0.5)
    images = np.arange(6)
    other.fill(EMBEDDINGS)
    other.update(images, EMBEDDINGS[:6] + 1)
    with device:
        storage.fill(device.placed(EMBEDDINGS))
        storage.update(images, device.placed(EMBEDDINGS[:6] + 1))
        state = storage.state_dict()
    assert state["pending"].device.type == "cuda"
    torch.testing.assert_close(device.value(state["pending"]), other.state_dict()["pending"])
    assert len(LABELS) == len(state["pending"])
