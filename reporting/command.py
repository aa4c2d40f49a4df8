"""The command that makes a run again: the one that it recorded, else one found from its config."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from core.errors import UserError
from engine.config.allowed_targets import check_targets
from engine.config.compose import compose_run
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from engine.config.run_overrides import is_portable, portable_overrides
from reporting.run import HASHED, Run
from sweeps.run_config import run_folder

GROUPS = (  # config groups of one choice, found by their _target_
    "validation",
    "transform",
    "sampler",
    "backbone",
    "optimizer",
    "batchminer",
    "scheduler",
)
UNKNOWN = "# no command found; its config.yaml has everything"
OF_METRICS = ("metric", "evaluation.measure.metrics")  # set by the choice of metrics
NOT_COMPOSED = (UserError, HydraException, OmegaConfBaseException)


def command(run: Run, seeds: Sequence[int]) -> str:
    """`python main.py -m ... seed=0,1`, of all seeds of the run's group.

    The overrides are those that the run recorded, or of older runs, which recorded none, derived
    from the configuration. They are composed again, and returned only if they make the run. A run
    that names other code than this project's has no command: nobody should paste it unread.
    """
    try:
        check_targets(run.config)
        found = recorded(run) or experiment(run) or derived(run)
    except NOT_COMPOSED:
        return UNKNOWN
    if found is None or not "".join(found).isprintable():
        return UNKNOWN
    multirun = ["-m"] if len(seeds) > 1 else []
    words = ["python", "main.py", *multirun, *found, f"seed={','.join(map(str, sorted(seeds)))}"]
    return shlex.join(words)


def recorded(run: Run) -> list[str] | None:
    """The recorded overrides, if they give the run its folder, whose hash covers every setting."""
    if not run.overrides:
        return None
    try:
        overrides = portable_overrides(run.overrides)
        whole = compose_run([*overrides, *fixed(run)], return_hydra_config=True)
        config = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
        check_targets(OmegaConf.to_container(config, resolve=True))
        folder = run_folder(config, whole.hydra.runtime.choices).path
    except NOT_COMPOSED:
        return None
    return overrides if folder.parts[-3:-1] == (run.dataset, run.group) else None


# Runs without recorded overrides


def experiment(run: Run) -> list[str] | None:
    """`experiment=<study>/<dataset>/<name>`, if the group is named after one and is that."""
    study, _, name = HASHED.sub("", run.group).partition("_")
    for path in (f"{study}/{run.dataset}/{name}", f"{study}/{name}"):
        if (CONF / "experiment" / f"{path}.yaml").exists():
            overrides = [f"experiment={path}"]
            return overrides if not differences(run, overrides) else None
    return None


def derived(run: Run) -> list[str] | None:
    """The choices whose YAML names the run's objects, then each key that still differs.

    None if these overrides do not make the run.
    """
    loss = choice("loss", run)  # it brings its miner
    overrides = [f"dataset={run.dataset}", *metrics(run), f"loss={loss}"]
    base = composed(run, overrides)
    changed = [name for name in GROUPS if target(run.config.get(name)) != target(base.get(name))]
    overrides += [f"{name}={choice(name, run)}" for name in changed]
    values = dict(leaves(run.config))
    differing = differences(run, overrides)
    if not values.keys() >= set(differing):
        return None
    overrides += [f"{key}={written(values[key])}" for key in differing]
    return None if differences(run, overrides) else overrides


def metrics(run: Run) -> list[str]:
    """`metric=[...]` where the run measured others than the default."""
    measured = set(run.config.get("metric") or {})
    if not measured or measured == set(composed(run, [])["metric"]):
        return []
    files = sorted((CONF / "metric").glob("*.yaml"))
    return [f"metric=[{','.join(f.stem for f in files if set(content(f)) <= measured)}]"]


def choice(group: str, run: Run) -> str:
    """The YAML of a group that names the run's object; one in the name of the run comes first.

    Raises:
        ConfigurationError: no YAML names it.
    """
    wanted, named = target(run.config.get(group)), HASHED.sub("", run.group).split("-")
    fits = [f.stem for f in sorted((CONF / group).glob("*.yaml")) if target(content(f)) == wanted]
    if not fits:
        raise ConfigurationError(f"{group}: no file of conf/{group}/ names {wanted}")
    return min(fits, key=lambda stem: stem not in named)


def differences(run: Run, overrides: Sequence[str]) -> list[str]:
    """Keys in which the composed configuration is not the run's, but for those made of others."""
    raw = dict(leaves(composed(run, overrides, resolve=False)))
    ours, theirs = dict(leaves(composed(run, overrides))), dict(leaves(run.config))
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    owned = {key for key in differing if key in raw and "${" not in str(raw[key])}
    return sorted(owned or differing)


def composed(run: Run, overrides: Sequence[str], resolve: bool = True) -> dict[str, Any]:
    """The configuration of `main.py <overrides>`, with the seed and classes of the run."""
    config = compose_run([*overrides, *fixed(run)])
    content = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def fixed(run: Run) -> list[str]:
    """What no recorded override says: the seed, the number of classes, and any data folder."""
    classes = run.config.get("num_classes", 0)
    return [f"seed={run.seed}", f"num_classes={classes}", "paths.data=data"]


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Dotted key -> value of what a command can set and a result can depend on; lists are whole."""
    if key in OF_METRICS or not is_portable(key, node):
        return
    if isinstance(node, Mapping) and node:
        for name, child in node.items():
            yield from leaves(child, f"{key}.{name}".lstrip("."))
    else:
        yield key, node


def target(node: Any) -> str | None:  # noqa: ANN401
    return node.get("_target_") if isinstance(node, Mapping) else None


def content(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text()) or {}


def written(value: Any) -> str:  # noqa: ANN401
    """A value in Hydra's grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{written(child)}" for name, child in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(written, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if not isinstance(value, str) or is_plain(value) else quoted(value)


def is_plain(text: str) -> bool:
    """Whether Hydra reads a text as itself without quotes, alone and inside of a list."""
    try:
        (override,) = OverridesParser.create().parse_overrides([f"key=[{text}]"])
        return bool(override.value() == [text])
    except HydraException:
        return False


def quoted(text: str) -> str:
    """In double quotes, which the shell's single quotes can hold."""
    return '"' + text.replace('"', '\\"') + '"'
