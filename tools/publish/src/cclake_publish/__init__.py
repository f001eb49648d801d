"""Publish gold tables as SQLite, DuckDB, Parquet and CSV exports."""
