"""What a whole run does with its steps."""

from pathlib import Path

import pytest
from torch import Tensor

from criteria.margin import Margin
from tests.commands import command


def test_a_short_run_that_never_learned_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No tuple of any batch was active, and the run finished without a word."""

    def closed(_self: Margin, embeddings: Tensor, _labels: Tensor) -> Tensor:
        return 0 * embeddings.sum()

    monkeypatch.setattr(Margin, "forward", closed)
    command(tmp_path)
    (said,) = [message for message in caplog.messages if "no tuple is active" in message]
    assert said.startswith("step 4: ")
