"""Draw charts as SVG on the server."""
