"""Recreate the original log files from MongoDB, byte for byte."""
