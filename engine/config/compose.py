"""Composition: builds the configuration of a run from the arguments of its command line."""

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

from engine.config.command_line import check_choices, parse_options
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF


def compose_run(arguments: Sequence[str], return_hydra_config: bool = False) -> DictConfig:
    """The configuration of `python main.py <arguments>`: options such as `--config-dir`, overrides.

    If Hydra is initialised already, as in main.py, overrides alone use its configuration folders.
    """
    with composing(arguments) as options:
        check_choices(options.overrides)
        return compose(options.config_name, options.overrides, return_hydra_config)


@contextmanager
def composing(arguments: Sequence[str]) -> Iterator[Namespace]:
    """Initialise Hydra for these arguments; yields its `config_name` and `overrides`."""
    options = parse_options(arguments)
    options.config_name = options.config_name or "config"
    active = GlobalHydra.instance().hydra
    if active is not None and not (options.config_dir or options.config_path):
        yield options
        return
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    try:
        Hydra.create_main_hydra2("main", _search_path(options.config_path, options.config_dir))
        yield options
    finally:
        GlobalHydra.instance().hydra = active


def _search_path(config_path: str | None, config_dir: str | None) -> ConfigSearchPath:
    """The folders of configuration files: that of `--config-dir`, then `--config-path` or conf/."""
    main = config_path or str(CONF)
    search_path = create_config_search_path(main if "://" in main else str(CONF.parent / main))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ConfigurationError(f"--config-dir={config_dir}: there is no such folder")
        path, before = f"file://{Path(config_dir).absolute()}", SearchPathQuery(provider="schema")
        search_path.prepend("command-line", path, anchor=before)
    return search_path
