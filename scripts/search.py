"""Search the images of an index:  python -m scripts.search folder=<index> images=<query>

    images=<image, list or folder>    queries, embedded by the run that built the index
    embeddings=<file>.parquet         queries that were embedded before
    [k=10] [format=json] [picture=neighbors.png] [min_similarity=0.8] [any other key=value]

Prints the most similar images of each query with their cosine similarities, as a table or as JSON.
docs/search.md has examples. Several images are written as [a.jpg,b.jpg].
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le
from omegaconf import DictConfig

from core.console import unwrapped_console
from core.ranges import PositiveInt
from engine.config.command import compose_command
from engine.config.error_line import user_errors_as_one_line
from engine.config.errors import ConfigurationError
from engine.config.names import Text
from engine.config.run_name import CONF
from engine.config.values import check_arguments, resolved_content
from engine.data.image_files import image_files
from engine.embeddings.origin import check_same_origin
from evaluation.figures.style import save
from retrieval.embedder import embed_files, embedder_of
from retrieval.image_index import ImageIndex
from retrieval.index_folder import load
from retrieval.neighbors import find_neighbors, with_known_labels
from retrieval.parquet_rows import ParquetRows
from retrieval.rows import Rows, joined
from retrieval.show import as_json, as_picture, as_table
from scripts.index import listed

PATHS = ("folder", "run", "images", "embeddings", "picture")


@dataclass(frozen=True)
class Options:
    """conf/search.yaml."""

    folder: Text
    images: Text | None
    embeddings: Text | None
    run: Text | None
    k: PositiveInt
    min_similarity: Annotated[float, Ge(-1), Le(1)] | None
    include_self: bool
    effort: PositiveInt | None
    format: Literal["table", "json"]
    picture: Text | None
    picture_queries: PositiveInt
    trust: Text | Sequence[Text]


def main(arguments: Sequence[str]) -> None:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\n{(CONF / 'search.yaml').read_text()}", end="")
        return
    with user_errors_as_one_line():
        config = compose_command("search", arguments, PATHS)
        check(config)
        search(config)


def check(config: DictConfig) -> None:
    """Check the options before anything is read.

    Raises:
        ConfigurationError: an option is wrong, or there are no queries.
    """
    check_arguments("", Options, resolved_content(config))
    if (config.images is None) == (config.embeddings is None):
        raise ConfigurationError("name the queries: images=<image or folder>, or embeddings=<file>")
    if config.picture and Path(config.picture).suffix not in (".png", ".pdf"):
        raise ConfigurationError(f"picture={config.picture}: must end with .png or .pdf")


def search(config: DictConfig) -> None:
    index, _ = load(Path(config.folder))
    if config.effort is not None:
        index.kind = index.kind.with_effort(config.effort)
    queries = with_known_labels(queries_of(config, index), index)
    options = (config.k, config.min_similarity, config.include_self)
    neighbors = find_neighbors(index, queries, *options)
    if config.format == "json":
        print(as_json(queries.paths, neighbors))
    else:
        unwrapped_console().print(as_table(queries.paths, neighbors))
    if config.picture:
        drawn = queries.paths[: config.picture_queries]
        save(as_picture(drawn, neighbors), Path(config.picture))


def queries_of(config: DictConfig, index: ImageIndex) -> Rows:
    """The queries with their embeddings."""
    if config.embeddings is not None:
        check_same_origin(index.embedder, Path(config.embeddings))
        return joined(ParquetRows(Path(config.embeddings)))
    files = image_files(listed(config.images))
    return embed_files(embedder_of(index.embedder, config.run, listed(config.trust)), files)


if __name__ == "__main__":
    main(sys.argv[1:])
