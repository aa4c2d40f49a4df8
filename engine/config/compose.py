"""The configuration of a run from what is said on its command line."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from engine.config.command_line import check_choices, parsed
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF


def compose_run(arguments: Sequence[str], return_hydra_config: bool = False) -> DictConfig:
    """`python main.py <arguments>`: overrides, and before them options such as `--config-dir`.

    Where Hydra is at work already, as in main.py, overrides alone find what its command line finds.
    """
    with composing(arguments) as options:
        check_choices(options.overrides)
        return compose(options.config_name, options.overrides, return_hydra_config)


@contextmanager
def composing(arguments: Sequence[str]) -> Iterator[Namespace]:
    """Hydra, set up for these arguments; yields its `config_name` and `overrides`."""
    options = parsed(arguments)
    options.config_name = options.config_name or "config"
    at_work = GlobalHydra.instance().hydra
    if at_work is not None and not (options.config_dir or options.config_path):
        yield options
        return
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    try:
        Hydra.create_main_hydra2("main", _search_path(options.config_path, options.config_dir))
        yield options
    finally:
        GlobalHydra.instance().hydra = at_work


def _search_path(config_path: str | None, config_dir: str | None) -> ConfigSearchPath:
    """Where files of the configuration are: first conf/ or what takes its place, then others."""
    main = config_path or str(CONF)
    search_path = create_config_search_path(main if "://" in main else str(CONF.parent / main))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ConfigurationError(f"--config-dir={config_dir}: there is no such folder")
        path, before = f"file://{Path(config_dir).absolute()}", SearchPathQuery(provider="schema")
        search_path.prepend("command-line", path, anchor=before)
    return search_path
