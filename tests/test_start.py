"""Commands that train nothing answer at once: they do not import torch, which takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run_server import Runs
from tests.run_server import runs as runs
from tests.run_server import server as server

ROOT = Path(__file__).parents[1]
COMPLETION = {"COMP_LINE": "python main.py loss=tripl", "COMP_POINT": "25"}
SLOW = ("torch", "torchvision", "lightning_fabric", "pandas", "numba", "wandb")


class Answer:
    """A command in a fresh interpreter: what it imported, what it said, and its CPU seconds."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        with subprocess.Popen(
            [sys.executable, "-X", "importtime", *arguments],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = process.stdout.read().splitlines()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.code, self.cpu_seconds = process.returncode, usage.ru_utime + usage.ru_stime
        self.imported = {line.split("|")[-1].strip() for line in lines if "import time:" in line}
        self.said = "\n".join(line for line in lines if "import time:" not in line)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("loss=tripet", 1, "did you mean 'triplet'?"),
        ("foo.bar=1", 1, "Could not override 'foo.bar'"),
        ("seed=x", 1, "seed=x: must be a whole number"),
        ("-m loss=triplet,tripet", 1, "tripet"),
        ("--bad", 1, "unrecognized arguments: --bad"),
        ("--help", 0, "usage: python main.py"),
        ("--help loss", 0, "loss=<choice>"),
        ("--hydra-help", 0, "--hydra-help"),
        ("--cfg job dataset=digits", 0, "_target_: datasets.digits.digits"),
        ("--info defaults-tree", 0, "loss: margin"),
        ("-sc query=bash", 0, "loss=triplet"),
    ],
)
def test_what_hydra_answers_or_rejects_imports_no_torch(
    arguments: str, code: int, said: str
) -> None:
    answer = Answer("main.py", *arguments.split(), **COMPLETION)
    assert said in answer.said
    assert answer.code == code, answer.said
    assert not answer.imported & set(SLOW)


def test_the_table_of_a_finished_run_imports_no_torch(runs: Runs) -> None:
    few = ("trainer.iterations=2", "trainer.workers=0", "trainer.checkpoint_every=2")
    folder = runs.finished(*few)
    command = runs.arguments(*few)
    answer = Answer("main.py", *command)
    assert answer.code == 0, answer.said
    assert answer.said.splitlines()[-1] == str(folder / "summary.json")
    assert not answer.imported & set(SLOW)


@pytest.mark.parametrize("argument", ["trainer.epochs=abc", "+foo=1"])
def test_a_wrong_value_is_told_before_the_imports_of_a_run(argument: str) -> None:
    """torch it needs, for the annotations; its compiler and torchvision it does not."""
    answer = Answer("main.py", argument)
    assert answer.code == 1
    assert answer.said.startswith(f"error: {argument}: ")
    assert "torch" in answer.imported
    assert not answer.imported & {"torch._dynamo", "torchvision", "lightning_fabric", "wandb"}


def test_a_rejected_choice_takes_less_than_importing_torch() -> None:
    """In CPU seconds, which other processes of the machine change little."""
    torch = Answer("-c", "import torch").cpu_seconds
    for arguments in (["loss=tripet"], ["foo.bar=1"], ["--help"], ["-sc", "query=bash"]):
        assert Answer("main.py", *arguments, **COMPLETION).cpu_seconds < 0.6 * torch
