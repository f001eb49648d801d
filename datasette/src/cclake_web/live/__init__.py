"""Show lines that are archived in MongoDB and not yet published."""
