"""Build an index of images for search, and change it:  python -m scripts.index folder=<index> ...

    folder=<index> run=<run> images=<folder>   embed images by a run, and index them
    folder=<index> embeddings=<file.parquet>   index embeddings, such as those of scripts.embed
    folder=<index> add=<folder or .parquet>    add what is not in the index yet
    folder=<index> remove=<image or folder>    remove images, by their paths in the index

`index=exact` compares a query with every image; `index=hnsw` and `index=ivfpq` are faster among
many images and find most of the neighbours; which share they find is measured and printed.
docs/search.md explains how to choose. Several paths are written as [a.jpg,b.jpg].
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from core.ranges import NonNegativeInt, PositiveInt
from engine.config.command import compose_command
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.names import Text
from engine.config.run_name import CONF
from engine.config.values import check_arguments, resolved_content
from retrieval.change import add, build, check_target, remove, source_of_file, source_of_images
from retrieval.exact import Exact
from retrieval.hnsw import HNSW
from retrieval.ivfpq import IVFPQ

ACTIONS = ("images", "embeddings", "add", "remove")
PATHS = ("folder", "run", *ACTIONS)


@dataclass(frozen=True)
class Options:
    """conf/index.yaml."""

    index: Exact | HNSW | IVFPQ
    folder: Text
    images: Text | None
    embeddings: Text | None
    run: Text | None
    add: Text | None
    remove: Text | None
    force: bool
    recall_k: PositiveInt
    recall_queries: NonNegativeInt
    trust: Text | Sequence[Text]


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\n{(CONF / 'index.yaml').read_text()}", end="")
        return
    with user_errors_as_one_line():
        config = compose_command("index", arguments, PATHS)
        check_arguments("", Options, resolved_content(config))
        if sum(config[name] is not None for name in ACTIONS) != 1:
            raise ConfigurationError(f"give one of {'=, '.join(ACTIONS)}=; --help explains them")
        print(act(config))
        print(config.folder)


def act(config: DictConfig) -> str:
    """Do what the options say; returns what was done in words."""
    folder, trust = Path(config.folder), listed(config.trust)
    if config.add is not None:
        return add(folder, listed(config.add), config.run, trust)
    if config.remove is not None:
        return remove(folder, listed(config.remove))
    check_target(folder, config.force)
    if config.embeddings is not None:
        source, embedder = source_of_file(Path(config.embeddings), config.run, trust)
    else:
        source, embedder = source_of_images(listed(config.images), config.run, trust)
    kind = instantiate(config.index)
    return build(folder, source, kind, embedder, config.recall_k, config.recall_queries)


def listed(value: str | Sequence[str]) -> list[str]:
    """One value or several, `[a,b]`, as a list."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        return [name.strip() for name in value[1:-1].split(",")]
    return [value] if isinstance(value, str) else list(value)


if __name__ == "__main__":
    main(sys.argv[1:])
