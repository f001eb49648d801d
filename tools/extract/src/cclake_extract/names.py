"""Names under which a snapshot and the table keep how far they go."""

WATERMARKS = "cclake.watermarks"
RUN = "cclake.extract_run"
BASE = "cclake.base_run"
LAST_RUN = "cclake.last_run"
FILES = "cclake.files"
"""The data files that an extraction added, below the table's location, as JSON."""
