"""Maintain the table: merge files, expire snapshots, delete orphans."""
