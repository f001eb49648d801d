"""Write selections of the archive as files to download."""
