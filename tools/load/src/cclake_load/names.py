"""Names under which a snapshot says how far it goes."""

RUN = "cclake.extract_run"
BASE = "cclake.base_run"
WATERMARKS = "cclake.watermarks"
FILES = "cclake.files"
