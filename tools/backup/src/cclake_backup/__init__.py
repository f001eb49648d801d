"""Save the archive in a folder, load it again, and check what was saved."""
