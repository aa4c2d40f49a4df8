"""The command of a run in this process: no start to wait for, and its insides can be changed."""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import main
from engine.config.run_name import CONF
from tests.test_main import only

SMALL = (
    *("dataset=digits", "metric=[recall]", "tracker.mode=disabled", "trainer.source=files"),
    *("trainer.workers=0", "trainer.iterations=4", "trainer.evaluate_every_iterations=2"),
    *("trainer.log_every=1", "trainer.checkpoint_every=1"),
)


def command(runs: Path, *overrides: str) -> Path:
    """`python main.py` for a run of four steps below `runs`; its folder.

    An error, if it has one, is a SystemExit with the line that it says.
    """
    given = [f"paths.runs={runs}", *SMALL, *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        whole = compose("config", overrides=given, return_hydra_config=True)
    config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    assert isinstance(config, DictConfig)
    hydra = HydraConfig.instance()
    before, hydra.cfg = hydra.cfg, None
    hydra.set_config(whole)
    try:
        main.main.__wrapped__(config)
    finally:
        hydra.cfg = before
    return only(runs)
