"""Tracker TensorBoard: event files in the run folder."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml
from PIL import Image

from tracking.background_tracker import BackgroundTracker
from tracking.tracked_values import flat_config, histograms, numbers


class TensorBoardLogger(BackgroundTracker):
    """Writes the records of a run to `tensorboard/training/` of the run folder.

    Numbers are scalars, lists histograms; the configuration and the readings are in the tab
    HPARAMS. A process that resumes a run writes the event files anew from its records, so that they
    have each step once; a TensorBoard that shows the run meanwhile forgets the earlier files.

    The arguments are those of `tracking.background_tracker.BackgroundTracker`; an evaluation is
    written to `tensorboard/evaluation/<name>/`.
    """

    client = "TensorBoard"
    needs: ClassVar = {"tensorboard": "tensorboard"}

    def _start(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        own = f"evaluation/{self.name}" if self.name else "training"
        place = self.folder / "tensorboard" / own
        shutil.rmtree(place, ignore_errors=True)
        self.writer = SummaryWriter(str(place), purge_step=0)
        text = yaml.safe_dump(dict(self.config), sort_keys=False)
        self.writer.add_text("config", f"```yaml\n{text}```")
        self.writer.flush()

    def _log(self, step: int, values: Mapping[str, Any], time: float | None = None) -> None:
        for name, value in numbers(values).items():
            self.writer.add_scalar(name, value, step, walltime=time)
        for name, spectrum in histograms(values).items():
            self.writer.add_histogram(name, np.array(spectrum), step, walltime=time)
        self.writer.flush()

    def _log_images(self, step: int, pictures: Mapping[str, Path]) -> None:
        for name, path in pictures.items():
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self.writer.add_image(f"pictures/{name}", pixels, step, dataformats="HWC")

    def _finish(self, numbers: Mapping[str, float], texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            self.writer.add_text(name, text)
        self.writer.add_hparams(flat_config(self.config), dict(numbers), run_name=".")

    def _close(self, error: type[BaseException] | None) -> None:  # noqa: ARG002
        self.writer.close()
