"""Show conversations, search and dashboards: a plugin for Datasette."""
