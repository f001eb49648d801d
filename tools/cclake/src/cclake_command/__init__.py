"""Run any part of cclake by one command."""
