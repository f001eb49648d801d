"""Render hostile log text as safe HTML."""
