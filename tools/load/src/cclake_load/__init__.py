"""Load new Iceberg rows into DuckDB."""
