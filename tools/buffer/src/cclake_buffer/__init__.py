"""Keep records in a durable SQLite queue, together with their checkpoints."""
