"""Tab completion of `python main.py` in bash, installed as docs/getting_started.md says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALL = 'eval "$(python main.py -sc install=bash)"'
TYPED = {  # what stands before the tabulator key: completions
    "python main.py loss=pro": {"loss=proxy_anchor", "loss=proxynca", "loss=proxynca_pp"},
    "python main.py loss=margin loss.b": {"loss.beta=", "loss.beta_lr="},
    "python main.py dataset=omni": {"dataset=omniglot_small"},
}
SCRIPT = """
COMP_LINE="{line}"; COMP_WORDS=({line}); COMP_CWORD={last}; COMP_POINT=${{#COMP_LINE}}
COMPREPLY=(); hydra_bash_completion; echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_tabulator_key_completes_groups_choices_and_keys() -> None:
    assert INSTALL in (ROOT / "docs" / "getting_started.md").read_text()
    lines = [SCRIPT.format(line=line, last=len(line.split()) - 1) for line in TYPED]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join([INSTALL, *lines])],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    assert [set(line.split()) for line in done.stdout.splitlines()] == list(TYPED.values())
