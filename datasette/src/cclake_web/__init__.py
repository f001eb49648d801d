"""The web face: a Datasette plugin that shows conversations, search and dashboards."""
