"""The views: each takes a request and gives an answer."""
