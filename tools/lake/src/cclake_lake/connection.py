"""Gather what pyiceberg needs to reach a catalog and the files of its table.

The settings are environment variables, so that no command line has a password.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cclake_common.failure import Failure
from pyarrow.fs import FileSystem
from pyiceberg.io.pyarrow import PyArrowFileIO
from sqlalchemy.engine import URL

from cclake_lake.settings import Lake

BUSY_S = 30
_S3 = {
    "s3.endpoint": "ICEBERG_S3_ENDPOINT",
    "s3.region": "ICEBERG_S3_REGION",
    "s3.access-key-id": "ICEBERG_S3_ACCESS_KEY_ID",
    "s3.secret-access-key": "ICEBERG_S3_SECRET_ACCESS_KEY",
}
_OAUTH = {
    "credential": "ICEBERG_CATALOG_CREDENTIAL",
    "token": "ICEBERG_CATALOG_TOKEN",
    "scope": "ICEBERG_CATALOG_SCOPE",
    "oauth2-server-uri": "ICEBERG_CATALOG_OAUTH2_SERVER_URI",
}
_SECRETS = (
    "ICEBERG_CATALOG_CREDENTIAL", "ICEBERG_CATALOG_TOKEN", "ICEBERG_CATALOG_HEADERS",
    "ICEBERG_S3_SECRET_ACCESS_KEY",
)  # fmt: skip
_CA_FILE = "cclake.ca-file"


def properties(lake: Lake) -> dict[str, Any]:
    """Return the properties with which pyiceberg opens the catalog of a lake.

    For unset values, the catalog and the AWS defaults of the machine decide.

    Raises:
        Failure: A setting can't be used.
    """
    found: dict[str, Any] = {"type": lake.catalog_type}
    if lake.warehouse:
        found["warehouse"] = lake.warehouse
    found |= _given(_S3) | _authority()
    if lake.catalog_type == "rest":
        found["uri"] = lake.catalog_uri
        return found | _oauth(lake.catalog_uri) | _headers() | _signing()
    if not lake.is_local:
        return found | {"uri": lake.catalog_uri}
    file = lake.catalog_file
    file.parent.mkdir(parents=True, exist_ok=True)
    address = URL.create("sqlite", database=str(file), query={"timeout": f"{BUSY_S}"})
    return found | {"uri": address.render_as_string(hide_password=False)}


def without_secrets(text: str) -> str:
    """Hide the passwords of the settings in a text that a server may have sent."""
    for name in _SECRETS:
        value = os.environ.get(name, "")
        _, _, password = value.partition(":")
        values = [part.partition("=")[2] for part in value.split(",")]
        for secret in (value, password, *values, *map(unquote, values)):
            if len(secret) > 3:
                text = text.replace(secret, "***")
    return text


class PrivateAuthorityFileIO(PyArrowFileIO):
    """Gives pyiceberg the certificates of `ICEBERG_CA_FILE` for S3.

    pyiceberg has no property for them.
    """

    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        build, (options,) = super()._initialize_s3_fs(netloc).__reduce__()
        return build(options | {"tls_ca_file_path": self.properties[_CA_FILE]})


def _given(names: dict[str, str]) -> dict[str, Any]:
    return {
        key: os.environ[name] for key, name in names.items() if os.environ.get(name)
    }


def _authority() -> dict[str, Any]:
    given = os.environ.get("ICEBERG_CA_FILE")
    if not given:
        return {}
    path = Path(os.path.expandvars(given)).expanduser().absolute()
    if not os.access(path, os.R_OK):
        raise Failure(
            f"ICEBERG_CA_FILE: {path} can't be read",
            "Set it to a PEM file of certificates, or unset it.",
        )
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if name in os.environ:  # requests prefers it to what it is given
            os.environ[name] = str(path)
    return {
        "ssl": {"cabundle": str(path)},
        _CA_FILE: str(path),
        "py-io-impl": f"{__name__}.{PrivateAuthorityFileIO.__name__}",
    }


def _oauth(uri: str) -> dict[str, Any]:
    found = _given(_OAUTH)
    if "credential" in found:
        found.setdefault("oauth2-server-uri", f"{uri.rstrip('/')}/v1/oauth/tokens")
    return found


def _headers() -> dict[str, Any]:
    """Return the headers of the catalog: NAME=VALUE, with commas between."""
    found: dict[str, Any] = {}
    for pair in filter(None, os.environ.get("ICEBERG_CATALOG_HEADERS", "").split(",")):
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name.strip():
            raise Failure(
                "ICEBERG_CATALOG_HEADERS can't be read",
                "Write NAME=VALUE,NAME=VALUE, with %2C for a comma in a value.",
            )
        found[f"header.{name.strip()}"] = unquote(value.strip())
    return found


def _signing() -> dict[str, Any]:
    """Return the signer of AWS requests, with the keys of S3 or of the machine.

    Raises:
        Failure: boto3 or a region is missing.
    """
    service = os.environ.get("ICEBERG_CATALOG_SIGV4")
    if not service:
        return {}
    if find_spec("boto3") is None:
        raise Failure(
            "ICEBERG_CATALOG_SIGV4 needs the package boto3",
            "Install it with `.venv/bin/pip install boto3` (or cclake-lake[sigv4]).",
        )
    regions = ("ICEBERG_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    region = next((os.environ[name] for name in regions if os.environ.get(name)), "")
    if not region:
        raise Failure("ICEBERG_CATALOG_SIGV4 needs a region", "Set ICEBERG_S3_REGION.")
    keys = {name.replace("s3.", "client."): value for name, value in _S3.items()}
    del keys["client.endpoint"]
    return _given(keys) | {
        "rest.sigv4-enabled": "true",
        "rest.signing-name": service,
        "rest.signing-region": region,
    }
