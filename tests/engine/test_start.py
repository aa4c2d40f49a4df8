"""What a run cannot do is said in one line before it starts: no folder, no data, no process."""

import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from engine.config.error_line import explain
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from engine.config.start import check_start
from sweeps.run_config import run_folder

PAIRS = "sampler.batch_size=4 sampler.samples_per_class=1"
METHOD = "method._target_=methods.method.Method"
WITHIN = "evaluation.measure.within=category"
BY_CATEGORY = "evaluation.measure.averages.by_category=true"


def start(*overrides: str) -> None:
    """As main.py does."""
    given = ["dataset=digits", *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        whole = compose("config", given, return_hydra_config=True)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    run_folder(config, whole.hydra.runtime.choices)
    check_start(config, given)


def refused(line: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        start(*line.split())
    said = explain(raised.value)
    assert "\n" not in said
    return said


EMPTY = {
    "a whole number >= 1": [
        *("trainer.log_every", "trainer.checkpoint_every", "trainer.evaluate_every_epochs"),
        *("trainer.devices", "trainer.num_nodes", "evaluation.batch_size"),
        *("sampler.batch_size", "sampler.samples_per_class"),
    ],
    "a whole number >= 0": ["seed", "trainer.epochs"],
    "auto or a whole number >= 0": ["trainer.workers"],
    "a number": ["optimizer.lr", "loss.margin"],
    "text": ["paths.runs", "paths.cache", "evaluation.select_on"],
    "a list, each text": ["trainer.storage_metrics"],
}


@pytest.mark.parametrize(
    ("key", "right"), [(key, right) for right, keys in EMPTY.items() for key in keys]
)
def test_a_value_that_was_left_empty(key: str, right: str) -> None:
    """A user wrote null where a run needs a value."""
    assert refused(f"{key}=null").startswith(f"{key}=null: must be {right}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trainer.chunk_size=0", "must be a whole number >= 1 or null"),
        ("trainer.chunk_size=2.5", "must be a whole number >= 1 or null"),
        ("trainer.devices=-1", "must be a whole number >= 1"),
        ("trainer.devices=abc", "must be a whole number >= 1"),
        ("trainer.devices=2.5", "must be a whole number >= 1"),
        ("seed=true", "must be a whole number >= 0"),
        ("optimizer.lr=abc", "must be a number"),
        ("optimizer.lr=1e-3x", "must be a number"),
        ("trainer.compile=abc", "must be true or false"),
        ("trainer.compile=no", "must be true or false"),
        ("evaluation.train_metrics=no", "must be true or false"),
        ("trainer.precision=16-true", "must be one of 32-true, bf16-mixed, 16-mixed"),
        ("trainer.source=nope", "must be one of auto, files, cache, device"),
        ("trainer.head_lr=-1", "must be a number >= 0 or null"),
        ("trainer.max_grad_norm=-1", "must be a number > 0 or null"),
        ("trainer.workers=2.5", "must be auto or a whole number >= 0"),
        ("trainer.workers=autp", "did you mean 'auto'?"),
        ("trainer.log_every=true", "must be a whole number >= 1"),
        ("evaluation.measure.num_clusters=-3", "must be a whole number >= 1 or null"),
        ("trainer.epochs=-1", "must be a whole number >= 0"),
        ("loss.margin=nan", "must be a number, and finite"),
        ("loss.margin=1e400", "must be a number, and finite"),
        ("++loss.miner.seed=-1", "loss.miner"),
        ("loss=weighted_sum loss.objectives.first.alpha=x", "must be a number > 0"),
        ("loss=recall_at_k loss.k=[1,x]", "must be a list, each a whole number >= 1"),
        ("loss=triplet loss.distance=core.distance.Lp", "must be a node whose _target_ is a Dist"),
        ("loss=triplet ++loss.distance._target_=core.reducer.Mean", "core.reducer.Mean takes no"),
        ("loss=circle loss.distance._target_=core.distance.SNR", "whose _target_ is a Cosine"),
        ("++loss._partial_=true", "must be a node whose _target_ is a Module"),
        ("++loss._partial_=abc", "must be true or false"),
        ("trainer.storage_metrics=test/map@r", "must be a list, each text"),
        ("paths=5", "must hold the keys data, runs, cache"),
        ("++loss.distance.p=1 loss.distance=5", "must be a node whose _target_ is a Distance"),
    ],
)
def test_a_value_of_another_type_or_out_of_range(line: str, message: str) -> None:
    """A user wrote text for a number, a fraction for a whole one, or one that means nothing."""
    said = refused(line)
    assert message in said
    assert said.startswith(line.split()[-1].lstrip("+").split("=")[0].split(".")[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trainer.feature_views=4", "feature_views=4: needs trainer.features=frozen"),
        ("trainer.features=frozen method=augmentations loss=ntxent", "choose trainer.feature_view"),
    ],
)
def test_stored_augmentations_that_no_run_could_use(line: str, message: str) -> None:
    assert message in refused(line)
    start(*f"{line} trainer.features=frozen trainer.feature_views=4".split())


@pytest.mark.parametrize("value", ["no", "off", "n", "'false'", "0", "null"])
def test_only_true_starts_afresh(value: str) -> None:
    """A user wrote force=no, and the finished run must stay."""
    assert refused(f"force={value}").endswith(": must be true or false")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("++trainer.epochss=2", "trainer takes no 'epochss', did you mean 'epochs'?"),
        ("+trainer.epochss=2", "no YAML declares the key 'trainer.epochss', did you mean 'epoch"),
        ("++nothing=3", "no YAML declares the key 'nothing'"),
        ("++loss.betaa=3", "takes no 'betaa', did you mean 'beta'?"),
        ("~loss", "loss: is missing"),
        ("~optimizer", "optimizer: is missing"),
        ("~trainer.epochs", "trainer.epochs: is missing"),
        ("dataset=csv", "dataset.path: is missing; say dataset.path=..."),
        ("backbone=timm ~backbone.model_name", "backbone.model_name: is missing"),
        ("sampler._partial_=false", "sampler.labels: is missing"),
    ],
)
def test_a_key_that_is_misspelt_or_missing(line: str, message: str) -> None:
    """A user misspelt a key behind ++, or took one away."""
    assert message in refused(line)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("null", "must name a class or function"),
        ("''", "must name a class or function"),
        ("5", "must name a class or function"),
        ("criteria..margin", "must name a class or function"),
        ("this", "is no component"),
        ("antigravity", "is no component"),
        ("antigravity.fly", "is no component"),
        ("os.system", "is no component"),
        ("nopackage.Loss", "no package nopackage is installed"),
        ("criteria.margin", "is no class or function"),
        ("criteria.margin.Margn", "did you mean 'criteria.margin.Margin'?"),
        ("tests.faulty.STEP", "is no class or function"),
    ],
)
def test_a_target_that_is_no_component(target: str, message: str) -> None:
    """A user named as _target_ what is no class; nothing of the standard library is imported."""
    for module in ("this", "antigravity"):
        sys.modules.pop(module, None)
    said = refused(f"loss._target_={target}")
    assert said.startswith("loss._target_")
    assert message in said
    assert not {"this", "antigravity"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evaluation.select_on=val/recall@3", "recall@3 is not measured"),
        ("evaluation.select_on=val/nope", "nope is not measured"),
        ("evaluation.select_on=recall@1", "must be <split>/<metric>"),
        ("evaluation.select_on=''", "must be <split>/<metric>"),
        ("evaluation.select_on=val/", "must be <split>/<metric>"),
        ("evaluation.select_on=test/recall@1", "its reading `oracle`"),
        ("evaluation.select_on=train/recall@1", "evaluation.train_metrics=true"),
        ("evaluation.select_on=val/nmi/std", "nmi/std is not measured"),
        ("evaluation.select_on=val/recall@1/low", "recall@1/low is not measured"),
        ("metric=[nmi]", "evaluation.select_on=val/recall@1: recall@1 is not measured"),
        ("evaluation.select_on=val/slice_1/recall@1", "slice_1/recall@1 is not measured"),
        (f"{METHOD} evaluation.select_on=val/slice_1/nope", "slice_1/nope is not measured"),
        ("trainer.storage_metrics=[test/nmi/birds]", "nmi/birds is not measured"),
        ("trainer.storage_metrics=[nope]", "must be <split>/<metric>"),
        ("trainer.storage_metrics=[test/map@R]", "did you mean 'map@r'?"),
        ("trainer.storage_metrics=[train/recall@1]", "evaluation.train_metrics=true"),
        ("validation=none evaluation.select_on=val/nope", "nope is not measured"),
    ],
)
def test_a_selection_that_is_not_measured(line: str, message: str) -> None:
    """A user chose the best epoch by a number that the run never measures, or by the test set."""
    assert message in refused(line)


@pytest.mark.parametrize(
    "line",
    [
        "validation=none",
        "validation=none metric=[nmi]",
        "evaluation.select_on=val/nmi/std evaluation.measure.restarts=2",
        "evaluation.select_on=val/recall@1/low evaluation.measure.averages.bootstrap=9",
        "trainer.storage_metrics=[test/map@r/birds] evaluation.measure.averages.by_category=true",
        f"{WITHIN} {BY_CATEGORY} trainer.storage_metrics=[test/nmi/birds]",
        f"{METHOD} evaluation.select_on=val/slice_1/map@r",
        "evaluation=pca evaluation.measure.transform.num_components=16",
        "evaluation.select_on=train/map@r evaluation.train_metrics=true trainer.storage_metrics=[]",
        "trainer.iterations=5 trainer.workers=0 trainer.chunk_size=2 group=mine optimizer.lr=1",
        f"{PAIRS} loss=arcface",
        f"{PAIRS} loss=triplet sampler.replacement=true",
        f"{PAIRS} loss=cross_batch_memory",
        f"{PAIRS} loss=partial_fc",
        f"{PAIRS} loss=triplet method=augmentations sampler=class_random",
        "++optimizer.betas=[0.9,0.99]",
        "loss=triplet loss.distance=null",
    ],
)
def test_what_a_run_can_do_passes(line: str) -> None:
    start(*line.split())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evaluation.measure.within=label", "within=label: must be category or null"),
        ("evaluation.measure.level=class", "level=class: must be one of label, category"),
        ("evaluation=pca evaluation.measure.transform.num_components=0", "a whole number >= 1"),
        ("evaluation=pca evaluation.measure.transform.fit_on=train", "one of all, gallery"),
        ("evaluation.measure.transform=pca", "transform=pca: must be"),
    ],
)
def test_an_evaluation_that_cannot_be_made(line: str, message: str) -> None:
    assert message in refused(line)


@pytest.mark.parametrize(
    ("option", "message"),
    [("level=category", "needs level=label"), ("averages.bootstrap=9", "averages.bootstrap=0")],
)
def test_settings_that_mean_nothing_within_categories(option: str, message: str) -> None:
    with pytest.raises(InstantiationException) as raised:
        start(WITHIN, f"evaluation.measure.{option}")
    assert explain(raised.value).startswith("within=category needs ")
    assert message in explain(raised.value)


EXPERIMENTS = [
    path.relative_to(CONF / "experiment") for path in (CONF / "experiment").rglob("*.yaml")
]


@pytest.mark.parametrize("experiment", sorted(EXPERIMENTS)[::4], ids=str)
def test_a_published_run_can_start(experiment: Path) -> None:
    """A user repeats a study whose number of clusters is that of its training classes."""
    start(f"experiment={experiment.with_suffix('')}", "trainer.precision=32-true")


@pytest.mark.parametrize("loss", ["triplet", "contrastive", "regularized", "vicreg", "supcon"])
def test_a_loss_without_positives(loss: str) -> None:
    """A user drew one image of each class for a loss that compares images of one class."""
    assert "needs positives" in refused(f"{PAIRS} loss={loss}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
        ("optimizer=sgd optimizer.momentum=-1", "optimizer: Invalid momentum value: -1"),
        ("trainer.accelerator=cpu trainer.devices=1000", "on the CPU each is a process"),
        ("trainer.strategy=nope", "trainer.strategy=nope"),
        ("trainer.num_nodes=2", "was not started on several machines"),
        ("trainer.precision=16-mixed", "needs a GPU"),
        ("trainer.precision=16", "needs a GPU"),
    ],
)
def test_what_torch_and_the_machine_do_not_take(line: str, message: str) -> None:
    """A user wanted 1,000 processes, or a learning rate below 0."""
    assert message in refused(line)


@pytest.mark.parametrize(
    "name",
    [
        "paper/v1",
        "../../x",
        "/abs",
        "..",
        ".",
        ".images",
        "''",
        "a\\\\b",
        "x" * 201,
        "' a'",
        f"'{'é' * 101}'",
    ],
)
def test_a_group_is_one_folder(name: str, tmp_path: Path) -> None:
    """A user named the group of a run so that its folder lies elsewhere."""
    said = refused_group(name, tmp_path)
    assert said.startswith("group=")
    assert "must be the name of one folder" in said


def refused_group(name: str, runs: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        start(f"paths.runs={runs}", f"group={name}")
    return explain(raised.value)


def test_views_of_stored_features_differ() -> None:
    """A user trained on the augmentations of images whose features are stored once."""
    frozen = ("method=augmentations", "trainer.features=frozen")
    for views in (0, 1):
        with pytest.raises(ConfigurationError, match=f"trainer.feature_views={views}: the views"):
            start(*frozen, f"trainer.feature_views={views}")
    start(*frozen, "trainer.feature_views=2")
    start("method=classifier", "trainer.features=frozen")
