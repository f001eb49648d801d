"""Read lines that are archived in MongoDB and not yet published, to show them."""
