"""Selections of the archive as files."""
