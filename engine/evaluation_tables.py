"""Tables of an evaluation in Parquet: the embeddings, and the neighbours of every query."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.files import write_atomically
from engine.embeddings.column_file import to_lists
from engine.embeddings.embedded_images import EmbeddedImages
from engine.inspection import InspectionData


def write_embeddings(file: Path, data: EmbeddedImages) -> None:
    """Write the embeddings of all images, before the transform of the evaluation.

    The metadata of the schema name the checkpoint that made them, where it is known.

    | column               | content                                                      |
    |----------------------|--------------------------------------------------------------|
    | path                 | image file; missing if there is none                         |
    | label                | class, as text                                               |
    | is_query, is_gallery | roles of the image                                           |
    | category             | super-class; missing if there is none                        |
    | ignore_group         | only if queries ignore more than themselves                  |
    | embedding            | list of D numbers, float32, or float64 if the network has it |
    """
    images, embeddings = data.images, data.embedded.embeddings.cpu().numpy()
    columns = {
        "path": text(images.paths),
        "label": text([images.class_names[label] for label in images.labels]),
        "is_query": pa.array(images.is_query),
        "is_gallery": pa.array(images.is_gallery),
        "category": text(images.categories),
    }
    if data.ignore_groups is not None:
        columns["ignore_group"] = pa.array(data.ignore_groups.cpu().numpy())
    columns["embedding"] = to_lists(embeddings)
    origin = None if data.origin is None else data.origin.metadata()
    write(file, pa.table(columns, metadata=origin))


def write_neighbors(file: Path, data: InspectionData) -> None:
    """Write one row per query and neighbour, the nearest first.

    | column                    | content                                          |
    |---------------------------|--------------------------------------------------|
    | query, neighbor           | row of the image in the evaluated split, from 0  |
    | query_path, neighbor_path | image file; missing if there is none             |
    | rank                      | 1 is the nearest                                 |
    | similarity                | cosine, or the negative Euclidean distance       |
    | relevant                  | whether the neighbour has the label of the query |
    """
    lists = ["neighbors", "distances"]
    rows = data.queries[["query", *lists]].explode(lists).dropna()
    query, neighbor = (rows[name].to_numpy(np.int64) for name in ("query", "neighbors"))
    distances = rows["distances"].to_numpy(np.float64)
    paths = np.array(data.images.paths, dtype=object)
    columns = {
        "query": pa.array(query),
        "query_path": text(paths[query]),
        "rank": pa.array(rows.groupby("query").cumcount().to_numpy() + 1),
        "neighbor": pa.array(neighbor),
        "neighbor_path": text(paths[neighbor]),
        "similarity": pa.array(1 - distances if data.distance == "cosine" else -distances),
        "relevant": pa.array(data.labels[query] == data.labels[neighbor]),
    }
    write(file, pa.table(columns))


def text(values: object) -> pa.Array:
    """A column of text; empty text becomes missing."""
    return pa.array(pd.Series(values, dtype=object).replace("", None), pa.string())


def write(file: Path, table: pa.Table) -> None:
    """Write a table atomically; text is stored once."""
    names = [field.name for field in table.schema if pa.types.is_string(field.type)]
    write_atomically(file, partial(pq.write_table, table, use_dictionary=names))
