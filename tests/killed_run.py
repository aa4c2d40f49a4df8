"""A run that is killed in an optimizer step."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.learner import Learner


@contextmanager
def killed_in_step(number: int) -> Iterator[None]:
    """Inside, a run that comes to this optimizer step ends with an unexpected error."""
    step, taken = Learner.step, []

    def killed(self: Learner, *arguments: object) -> object:
        taken.append(1)
        if len(taken) == number:
            raise RuntimeError("killed")
        return step(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", killed)
        yield
