"""Questions to the export; each takes a connection and gives plain rows."""
