"""Command lines that cannot be meant are refused in one line that names the argument."""

import pytest

from core.errors import UserError
from engine.config.command_line import check_command_line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--unknown", "unrecognized arguments: --unknown"),
        ("seed=1 --config-dir", "argument --config-dir/-cd: expected one argument"),
        ("--cfg=nope", "invalid choice: 'nope'"),
        ("loss=[1,2]", "loss=[1,2]: must name a file of conf/loss/"),
        ("-m loss=1,2", "loss=1,2: must name a file of conf/loss/"),
        ("trainer=5", "trainer=5: must name a file of conf/trainer/"),
        ("sampler=null", "sampler=null: must name a file of conf/sampler/"),
        ("loss=[contrastive,triplet]", "a run has one loss; choose one"),
        ("optimizer=[adam,sgd]", "a run has one optimizer; choose one"),
        ("metric=[]", "metric=[]: choose at least one"),
    ],
)
def test_options_and_choices_that_cannot_be_meant_are_refused(arguments: str, said: str) -> None:
    """A user gave a list of numbers as the loss, two optimizers, or an option of another tool."""
    with pytest.raises(UserError) as refused:
        check_command_line(arguments.split())
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        "dataset=digits metric=[recall,nmi] seed=3 --config-name mine",
        "-m loss=contrastive,triplet 'optimizer=glob(*)' seed=1,2",
        "metric=recall ~scheduler ++trainer.epochs=3 +experiment=[a,b]",
        "loss=[",
    ],
)
def test_others_are_left_to_hydra(arguments: str) -> None:
    check_command_line(arguments.split())
