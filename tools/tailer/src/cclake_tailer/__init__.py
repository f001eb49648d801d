"""Follow Claude Code conversation logs and print every line as a record."""
