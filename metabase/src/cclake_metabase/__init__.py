"""Metabase dashboards over the SQLite export, kept as code."""
