"""Deliver the buffer to MongoDB exactly once; health and metrics."""

import sys
from importlib.util import find_spec

if find_spec("OpenSSL") is None:
    # PyMongo would import all of `cryptography` before it finds that pyOpenSSL is
    # missing. That costs 8 MB and a third of the startup time.
    sys.modules["pymongo.pyopenssl_context"] = None  # type: ignore[assignment]
