"""Run extract, load, transform and publish in order and record each run."""
