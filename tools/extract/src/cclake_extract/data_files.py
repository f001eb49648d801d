"""Place data files of the table, and describe them for a commit."""

import uuid

from pyarrow.fs import LocalFileSystem
from pyiceberg.io.pyarrow import (
    PyArrowFileIO,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from cclake_extract.parquet import Destination, Written
from cclake_extract.schema import arrow_schema


def destination(table: Table) -> Destination:
    """Return where new files of the table go, with credentials."""
    address = table.location()
    scheme, netloc, path = PyArrowFileIO.parse_location(address)
    io = table.io
    if not isinstance(io, PyArrowFileIO):
        io = PyArrowFileIO(io.properties)
    # pyiceberg's own class for local files can't be read without pyiceberg.
    system = LocalFileSystem() if scheme == "file" else io.fs_by_scheme(scheme, netloc)
    return Destination(system, address.removesuffix(path), arrow_schema(table.schema()))


def new_path(table: Table) -> str:
    """Return the address for a new data file."""
    return table.location_provider().new_data_location(f"{uuid.uuid4()}.parquet")


def data_file(table: Table, file: Written) -> DataFile:
    """Return the Iceberg description of a finished file."""
    schema, properties = table.schema(), table.properties
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=file.metadata,
        stats_columns=compute_statistics_plan(schema, properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file.path,
        file_format=FileFormat.PARQUET,
        partition=Record(*file.partition),
        file_size_in_bytes=file.bytes,
        sort_order_id=None,
        spec_id=table.metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
