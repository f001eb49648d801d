"""Deliver the buffer to MongoDB exactly once; health and metrics."""

import sys
from importlib.util import find_spec

if find_spec("OpenSSL") is None:
    # PyMongo would load all of `cryptography`, where that is installed, only to find
    # that pyOpenSSL is not: 8 MB and a third of the time to start, for nothing.
    sys.modules["pymongo.pyopenssl_context"] = None  # type: ignore[assignment]
