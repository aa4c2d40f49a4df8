"""What a step frees is kept for the next step, and is returned where processes are forked."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import resource, sys
import torch
from engine.malloc import tune_malloc

if sys.argv[1] == "keep":
    tune_malloc()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    layers(torch.zeros(64, 3, 28, 28)).sum().backward()

layers = torch.nn.Sequential(*(torch.nn.Conv2d(c, 64, 3) for c in (3, 64, 64)))
step()
before = faults()
for _ in range(5):
    step()
print(faults() - before)
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way with memory is changed")
def test_the_same_pages_are_used_again() -> None:
    assert faults("keep") < faults("return") / 3


RETURNED = """
import torch
from engine.malloc import return_freed_memory, tune_malloc

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20

tune_malloc()
activations = [torch.ones(2**20) for _ in range(64)]  # 4 MiB each
kept = torch.ones(1)
del activations
before = resident()
return_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way with memory is changed")
def test_freed_memory_is_returned_before_a_fork() -> None:
    command = [sys.executable, "-c", RETURNED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 200
