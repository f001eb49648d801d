"""Query the export: each function takes a connection and returns plain rows."""
