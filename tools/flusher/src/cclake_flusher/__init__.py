"""Deliver the buffer to MongoDB exactly once; health and metrics."""
