"""Prove that every byte of every file is in every store."""
