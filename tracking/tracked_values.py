"""Tracked values: the content of a run as plain numbers and texts, for the clients of trackers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

READINGS = ("last", "selected", "oracle")


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the values; undefined metrics and lists are left out."""
    return {name: value for name, value in values.items() if isinstance(value, float | int)}


def histograms(values: Mapping[str, Any]) -> dict[str, list[float]]:
    """The lists of numbers among the values, such as a spectrum."""
    return {name: value for name, value in values.items() if isinstance(value, list) and value}


def flat_config(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The configuration by dotted keys, such as `loss.margin`; a list is JSON."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flat_config(value, f"{name}.")
        else:
            flat[name] = json.dumps(value) if isinstance(value, list) else value
    return flat


def summary_numbers(summary: Mapping[str, Any]) -> dict[str, float]:
    """The readings as `last/test/recall@1` and so on, and the cost as `cost/seconds`."""
    readings = {
        f"{reading}/{name}": value
        for reading in READINGS
        for name, value in numbers(summary[reading] or {}).items()
    }
    return readings | {f"cost/{k}": v for k, v in numbers(summary.get("cost", {})).items()}


def origin(folder: Path) -> dict[str, str]:
    """The run folder, the commit of the code, the study that it follows, its overrides as JSON."""
    environment, recorded = (
        json.loads(file.read_text()) if file.exists() else {}
        for file in (folder / "environment.json", folder / "overrides.json")
    )
    commit, overrides = environment.get("commit"), recorded.get("overrides")
    texts = {
        "folder": str(folder),
        "commit": commit and commit + "+" * bool(environment.get("dirty")),
        "claim": (environment.get("protocol") or {}).get("claim"),
        "overrides": overrides and json.dumps(overrides),
    }
    return {name: text for name, text in texts.items() if text}
