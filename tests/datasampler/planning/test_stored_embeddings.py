"""Rows of an epoch are those of its start; a saved storage goes on as if nothing had happened."""

import io

import numpy as np
import pytest
import torch

from datasampler.planning.stored_embeddings import StoredEmbeddings

ROWS = torch.arange(12.0).view(6, 2)


def filled(**options: object) -> StoredEmbeddings:
    storage = StoredEmbeddings(**options)
    storage.fill(ROWS)
    storage.begin_epoch(0)
    return storage


def reloaded(storage: StoredEmbeddings, **options: object) -> StoredEmbeddings:
    """What a checkpoint gives back."""
    file = io.BytesIO()
    torch.save(storage.state_dict(), file)
    file.seek(0)
    other = StoredEmbeddings(**options)
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


def test_rows_of_a_step_are_visible_in_the_next_epoch_only() -> None:
    storage = filled()
    seen = storage.rows()
    storage.update([4, 1], torch.tensor([[-1.0, -2.0], [-3.0, -4.0]]))
    assert storage.rows().equal(ROWS)
    storage.begin_epoch(0)  # a resumed run begins the same epoch again
    assert storage.rows().equal(ROWS)
    storage.begin_epoch(1)
    expected = ROWS.clone()
    expected[4], expected[1] = torch.tensor([-1.0, -2.0]), torch.tensor([-3.0, -4.0])
    assert storage.rows().equal(expected)
    storage.update([0], torch.zeros(1, 2))
    assert seen.equal(ROWS), "a plan that is under way keeps its rows"


def test_the_first_of_several_embeddings_of_an_image_counts() -> None:
    storage = filled()
    storage.update([2, 5, 2, 2], torch.tensor([[1.0, 1], [2, 2], [3, 3], [4, 4]]))
    storage.begin_epoch(1)
    assert storage.rows()[[2, 5]].tolist() == [[1, 1], [2, 2]]


def test_never_updated_rows_stay() -> None:
    storage = filled(update="never")
    storage.update([2], torch.ones(1, 2))
    storage.begin_epoch(1)
    assert storage.rows().equal(ROWS)


def test_all_images_are_due_first_and_every_n_epochs() -> None:
    storage = StoredEmbeddings(refresh_every=3)
    due = []
    for epoch in range(8):
        due.append(storage.is_due(epoch))
        if due[-1]:
            storage.fill(ROWS)
        storage.begin_epoch(epoch)
        assert not storage.is_due(epoch), "the rest of an epoch needs no other rows"
        assert not reloaded(storage, refresh_every=3).is_due(epoch)
    assert due == [True, False, False, True, False, False, True, False]
    assert not any(filled().is_due(epoch) for epoch in range(5))


def test_a_run_resumed_at_any_step_sees_the_same_rows() -> None:
    rng = np.random.default_rng(0)
    steps = [(rng.integers(6, size=3).tolist(), torch.randn(3, 2)) for _ in range(9)]

    def rows(resume_after: int | None) -> list[torch.Tensor]:
        storage, seen = filled(momentum=0.5), []
        for step, (images, embeddings) in enumerate(steps):
            storage.begin_epoch(step // 3)
            seen.append(storage.rows())
            storage.update(images, embeddings)
            if step == resume_after:
                storage = reloaded(storage, momentum=0.5)
        return seen

    reference = rows(None)
    for step in range(len(steps)):
        assert all(map(torch.equal, rows(step), reference))


def test_a_saved_state_does_not_change_with_the_storage() -> None:
    """Nor does the storage that loads it change the saved tensors."""
    storage = filled()
    other = StoredEmbeddings()
    other.load_state_dict(storage.state_dict())
    other.update([0], torch.ones(1, 2))
    assert storage.rows().equal(ROWS)
    assert other.rows().equal(ROWS)


@pytest.mark.parametrize("normalized", [True, False])
def test_momentum_mixes_rows_and_keeps_their_length(normalized: bool) -> None:
    rng = np.random.default_rng(0)
    old, new = rng.standard_normal((2, 6, 4))
    if normalized:
        old, new = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (old, new))
    storage = StoredEmbeddings(momentum=0.75)
    storage.fill(torch.from_numpy(old))
    storage.begin_epoch(0)
    storage.update([3], torch.from_numpy(new[3:4]))
    storage.begin_epoch(1)
    mean = 0.75 * old[3] + 0.25 * new[3]
    length = 0.75 * np.linalg.norm(old[3]) + 0.25 * np.linalg.norm(new[3])
    expected = mean / np.linalg.norm(mean) * length
    np.testing.assert_allclose(storage.rows()[3], expected, rtol=1e-5)
    np.testing.assert_allclose(storage.rows()[[0, 1, 2, 4, 5]], old[[0, 1, 2, 4, 5]], rtol=1e-6)
    storage.fill(torch.from_numpy(new))  # all images are embedded again
    mean = 0.75 * old[0] + 0.25 * new[0]
    length = 0.75 * np.linalg.norm(old[0]) + 0.25 * np.linalg.norm(new[0])
    np.testing.assert_allclose(storage.rows()[0], mean / np.linalg.norm(mean) * length, rtol=1e-5)


def test_rows_are_float32_and_take_part_in_no_gradient() -> None:
    storage = StoredEmbeddings()
    with torch.inference_mode():
        embedded = torch.ones(6, 2, dtype=torch.float64)
    storage.fill(embedded)
    storage.update([1], torch.ones(1, 2, dtype=torch.bfloat16, requires_grad=True))
    storage.begin_epoch(0)
    assert storage.rows().dtype == torch.float32
    assert not storage.rows().requires_grad
    assert not storage.rows().is_inference()


def test_rows_before_the_first_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"no stored embeddings; storage\.fill\(embeddings\)"):
        StoredEmbeddings().rows()


def test_embeddings_of_other_images_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 embeddings of 3 images"):
        filled().update([0, 1, 2], torch.ones(2, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"update": "always"}, "update must be one of"),
        ({"refresh_every": 0}, "refresh_every must be at least 1"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
    ],
)
def test_wrong_options_are_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        StoredEmbeddings(**options)
    assert "\n" not in str(error.value)
