"""The archive in MongoDB, as the tools share it."""

import sys
from importlib.util import find_spec

if find_spec("OpenSSL") is None:
    # PyMongo would import all of `cryptography` before it finds that pyOpenSSL is
    # missing. That costs 8 MB and a third of the flusher's startup time.
    sys.modules["pymongo.pyopenssl_context"] = None  # type: ignore[assignment]
