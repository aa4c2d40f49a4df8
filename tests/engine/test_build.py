"""What is known to be wrong once the data are read, and before the first step."""

import pytest
import torch
from omegaconf import OmegaConf

from architectures.convnet import convnet
from datasets.digits import digits
from datasets.table import DatasetError
from engine.build import build_images, check_size, sampler_of
from engine.config.errors import ConfigurationError
from engine.config.hooks import build_hooks
from engine.config.selection import check_categories, check_hook_splits, check_parts
from engine.hooks.export_embeddings import ExportEmbeddings
from evaluation.categories import CategoryError
from tests.engine.test_configuration import composed


def image(pixels: int) -> torch.Tensor:
    return torch.zeros(3, pixels, pixels, dtype=torch.uint8)


def test_a_backbone_of_another_image_size() -> None:
    """A user gave images of 28 pixels to a vision transformer for 224."""
    from architectures.timm import timm_model  # takes seconds

    model = timm_model("vit_tiny_patch16_224", pretrained=False)
    with pytest.raises(ConfigurationError, match="cannot embed images of 28x28 pixels"):
        check_size(model, image(28))
    check_size(model, image(224))


def test_looking_at_the_size_changes_nothing() -> None:
    model = convnet(width=4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    check_size(model, image(28))
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_patience_needs_the_split_that_it_waits_for() -> None:
    """A user set trainer.patience without a validation split."""
    config = OmegaConf.create(
        {"evaluation": {"select_on": "val/recall@1"}, "trainer": {"patience": 5}}
    )
    hooks = build_hooks(config)
    check_hook_splits(hooks, ["val", "test"])
    with pytest.raises(ConfigurationError, match=r"trainer\.patience=5: waits for val/recall@1"):
        check_hook_splits(hooks, ["test"])


def test_only_splits_that_are_evaluated_can_be_exported() -> None:
    """A user exported the training images, which the run does not evaluate."""
    hooks = {"hooks.mine": ExportEmbeddings(splits=["train", "test"])}
    check_hook_splits(hooks, ["test", "train"])
    check_hook_splits({"hooks.mine": ExportEmbeddings()}, ["test"])
    with pytest.raises(
        ConfigurationError,
        match=r"hooks\.mine\.splits=\['train', 'test'\]: the run evaluates only val, test; val",
    ):
        check_hook_splits(hooks, ["val", "test"])


@pytest.mark.parametrize("asked", ["false", "true"])
def test_training_images_are_measured_if_asked(asked: str) -> None:
    """Roth et al. have a flag against it that their code never reads."""
    config = composed("dataset=digits", f"evaluation.train_metrics={asked}")
    table = digits()
    table.loc[table.index[table.split == "train"][::5], "split"] = "val"
    train, splits = build_images(config, table)
    assert list(splits) == ["train", "val", "test"][asked == "false" :]
    assert {name: len(split) for name, split in splits.items()} == {
        name: int((table.split == name).sum()) for name in splits
    }
    assert len(train) == int((table.split == "train").sum())


@pytest.mark.parametrize("setting", ["within", "level"])
def test_categories_are_missed_before_the_first_step(setting: str) -> None:
    config = composed("dataset=digits", f"evaluation.measure.{setting}=category")
    count = 896  # test images
    with pytest.raises(CategoryError, match=f"{setting}=category needs .* 896 of 896 samples"):
        check_categories(config, {"test": [""] * count})
    check_categories(config, {"test": ["digit"] * count})
    check_categories(composed("dataset=digits"), {"test": [""] * count})


def test_a_part_that_the_embedding_does_not_have_is_named_before_the_first_step() -> None:
    config = composed("method._target_=methods.method.Method")
    config.evaluation.select_on = "val/slice_9/recall@1"
    check_parts(config, ["slice_9"])
    with pytest.raises(
        ConfigurationError, match=r"evaluation\.select_on=.*the parts slice_1, "
    ) as e:
        check_parts(config, ["slice_1", "slice_2"])
    assert "did you mean" in str(e.value)
    config.trainer.storage_metrics, config.evaluation.select_on = ["test/a/map@r"], "val/recall@1"
    with pytest.raises(
        ConfigurationError, match=r"trainer\.storage_metrics=test/a/map@r: .* no parts"
    ):
        check_parts(config, [])
    check_parts(composed(), [])


@pytest.mark.parametrize(("only", "absent"), [("train", "test"), ("test", "train")])
def test_a_table_without_a_split_is_named(only: str, absent: str) -> None:
    """A user's CSV file had rows of one split: an IndexError came after the first epoch."""
    config = composed("dataset=csv", "dataset.path=/some/mine.csv", "transform=small")
    table = digits().query(f"split == '{only}'")
    with pytest.raises(DatasetError, match=rf"/some/mine\.csv has no images of split {absent}; "):
        build_images(config, table)


def test_a_sampler_of_categories_needs_a_dataset_that_has_them() -> None:
    """The digits have none; half of these have one."""
    changes = ("batch_size=8", "samples_per_class=2", "categories_per_batch=2")
    changes = tuple(f"sampler.{change}" for change in changes)
    config = composed("dataset=digits", "sampler=category_balance", *changes)
    table = digits()
    with pytest.raises(DatasetError, match="CategoryBalance: needs the category of every training"):
        sampler_of(config, build_images(config, table)[0])
    table["category"] = table["label"].map(lambda label: "odd" if int(label) % 2 else "even")
    train = build_images(config, table)[0]
    (batch, *_) = sampler_of(config, train)
    assert {train.categories[index] for index in batch} == {"odd", "even"}
