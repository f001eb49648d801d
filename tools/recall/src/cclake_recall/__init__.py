"""Search and read conversations in the terminal."""
