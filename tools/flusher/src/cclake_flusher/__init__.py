"""Deliver the buffer to MongoDB exactly once; health and metrics."""

import cclake_archive  # noqa: F401, it must be imported before the driver
