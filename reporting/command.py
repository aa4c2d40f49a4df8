"""The command that makes a run again, found from its configuration and checked against it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from engine.config.allowed_targets import check_targets
from engine.config.compose import compose_run
from engine.config.errors import ConfigurationError
from engine.config.run_name import CONF
from reporting.run import HASHED, Run

GROUPS = (  # config groups of one choice, found by their _target_
    "validation",
    "transform",
    "sampler",
    "backbone",
    "optimizer",
    "batchminer",
    "scheduler",
)
IGNORED_KEYS = ("seed", "force", "paths", "tracker", "num_classes", "metric")  # keys told elsewhere
MACHINE_GROUPS = ("dataset.root", "trainer.workers", "trainer.accelerator", "trainer.progress")
UNKNOWN = "# no command found; its config.yaml has everything"


def command(run: Run, seeds: Sequence[int]) -> str:
    """`python main.py -m ... seed=0,1`, of all seeds of the run's group.

    The choices are those whose YAML names the run's objects, the rest is set key by key. What
    comes out is composed again; only if it is the run's configuration it is returned. A run that
    names other code than this project's has none: nobody should paste what a stranger wrote.
    """
    try:
        check_targets(run.config)
        found = experiment(run) or choices(run)
    except (ConfigurationError, HydraException, OmegaConfBaseException):
        return UNKNOWN
    if found is None or not "".join(found).isprintable():
        return UNKNOWN
    multirun = ["-m"] if len(seeds) > 1 else []
    words = ["python", "main.py", *multirun, *found, f"seed={','.join(map(str, sorted(seeds)))}"]
    return shlex.join(words)


def experiment(run: Run) -> list[str] | None:
    """`experiment=<study>/<dataset>/<name>`, if the group is named after one and is that."""
    study, _, name = HASHED.sub("", run.group).partition("_")
    for path in (f"{study}/{run.dataset}/{name}", f"{study}/{name}"):
        if (CONF / "experiment" / f"{path}.yaml").exists():
            overrides = [f"experiment={path}"]
            return overrides if not differences(run, overrides) else None
    return None


def choices(run: Run) -> list[str] | None:
    """The choices of the groups, then the keys that still differ; None if that is not the run."""
    overrides = [f"dataset={run.dataset}", *metrics(run)]
    for step in (losses, objects, keys, nothing):
        more = step(run, overrides)
        if more is None:
            return None
        overrides += more
    return overrides


def metrics(run: Run) -> list[str]:
    """`metric=[...]` where the run measured others than the default."""
    measured = set(run.config.get("metric") or {})
    if not measured or measured == set(composed(run, [])["metric"]):
        return []
    files = sorted((CONF / "metric").glob("*.yaml"))
    return [f"metric=[{','.join(f.stem for f in files if set(content(f)) <= measured)}]"]


def losses(run: Run, _: Sequence[str]) -> list[str] | None:
    """The loss, which brings its miner."""
    found = choice("loss", target(run.config.get("loss")), run)
    return None if found is None else [f"loss={found}"]


def objects(run: Run, overrides: Sequence[str]) -> list[str] | None:
    """The choice of every group whose object is another one than composed."""
    base = composed(run, overrides)
    wanted = {name: target(run.config.get(name)) for name in GROUPS}
    changed = [name for name in GROUPS if wanted[name] != target(base.get(name))]
    found = {name: choice(name, wanted[name], run) for name in changed}
    return None if None in found.values() else [f"{k}={v}" for k, v in found.items()]


def choice(group: str, wanted: str | None, run: Run) -> str | None:
    """The YAML of a group that names an object; one that the run is named after comes first."""
    named = HASHED.sub("", run.group).split("-")
    fits = [f.stem for f in sorted((CONF / group).glob("*.yaml")) if target(content(f)) == wanted]
    return min(fits, key=lambda stem: (stem not in named, fits.index(stem)), default=None)


def keys(run: Run, overrides: Sequence[str]) -> list[str] | None:
    changed = differences(run, overrides)
    if changed is None or any(key not in dict(leaves(run.config)) for key in changed):
        return None
    values = dict(leaves(run.config))
    return [f"{key}={written(values[key])}" for key in changed]


def nothing(run: Run, overrides: Sequence[str]) -> list[str] | None:
    """No more overrides, if these make the run."""
    return None if differences(run, overrides) else []


def differences(run: Run, overrides: Sequence[str]) -> list[str]:
    """Keys in which the composed configuration is not the run's, but for those made of others."""
    try:
        config = composed(run, overrides, resolve=False)
        resolved = composed(run, overrides)
    except (HydraException, OmegaConfBaseException):
        return ["cannot be composed"]
    ours, theirs, raw = dict(leaves(resolved)), dict(leaves(run.config)), dict(leaves(config))
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    owned = {key for key in differing if key in raw and "${" not in str(raw[key])}
    return sorted(owned or differing)


def composed(run: Run, overrides: Sequence[str], resolve: bool = True) -> dict[str, Any]:
    """The configuration of `main.py <overrides>`, with the seed and classes of the run."""
    told = [*overrides, f"seed={run.seed}", f"num_classes={run.config.get('num_classes', 0)}"]
    config = compose_run([*told, "paths.data=data"])
    content = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Dotted key -> value of what a command can set and a result can depend on; lists are whole."""
    if key in IGNORED_KEYS or key in MACHINE_GROUPS or key.startswith("evaluation.measure.metrics"):
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
