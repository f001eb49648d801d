"""Register the functions of DuckDB that gold uses in a Spark session.

DuckDB itself evaluates each over the batches of rows that a worker has, so both engines
read a hostile line alike.
"""

from typing import Any

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from cclake_spark.walks import walk

_LETTERS = "abcdef"
_TEXTS = ArrayType(StringType())
_STEPS = ArrayType(
    StructType(
        [
            StructField("node", StringType()),
            StructField("ancestor", StringType()),
            StructField("steps", IntegerType()),
        ]
    )
)
# Functions with the same name in both engines.
_NAMED: dict[str, DataType] = {
    "json_exists": BooleanType(),
    "json_extract": StringType(),
    "json_extract_string": StringType(),
    "json_merge_patch": StringType(),
    "json_type": StringType(),
    "json_valid": BooleanType(),
    "regexp_matches": BooleanType(),
    "regexp_full_match": BooleanType(),
}
# Expressions over the columns a, b, c ...: see the macro by_row.
_KINDS: dict[str, DataType] = {
    "text": StringType(),
    "texts": _TEXTS,
    "bool": BooleanType(),
    "bigint": LongType(),
    "bigints": ArrayType(LongType()),
}


def register(session: SparkSession) -> None:
    """Make the functions known to a session."""
    for name, kind in _NAMED.items():
        session.udf.register(name, pandas_udf(_named(name), kind))
    for name, kind in _KINDS.items():
        session.udf.register(f"duckdb_{name}", pandas_udf(_expression, kind))
    session.udf.register("walked", pandas_udf(_walked, _STEPS))


def _named(name: str) -> Any:
    def call(*columns: pd.Series) -> pd.Series:
        letters = ", ".join(_LETTERS[: len(columns)])
        text = pd.Series([f"{name}({letters})"])
        return _expression(text, *columns)

    return call


def _expression(text: pd.Series, *columns: pd.Series) -> pd.Series:
    # The workers import them, too.
    import duckdb
    import pyarrow as pa

    if not len(columns[0]):
        return pd.Series([], dtype="object")
    arrays = [pa.array(column, from_pandas=True) for column in columns]
    rows = pa.table(dict(zip(_LETTERS, arrays, strict=False)))
    with duckdb.connect() as connection:
        connection.execute("set threads = 1; set timezone = 'UTC'")
        connection.register("rows", rows)
        found = connection.execute(f"select {text.iloc[0]} as found from rows")
        column = found.to_arrow_table()["found"]
    if pa.types.is_string(column.type) or pa.types.is_list(column.type):
        return column.to_pandas()
    return pd.Series(column.to_pylist(), dtype="object")


def _walked(nodes: pd.Series, parents: pd.Series, limit: pd.Series) -> pd.Series:
    groups = zip(nodes, parents, limit, strict=True)
    return pd.Series([walk(*group) for group in groups], dtype="object")
