"""A small Iceberg REST catalog for tests, over pyiceberg's own SQL catalog.

It speaks the part of the published REST specification that a client of one
table needs: configuration, namespaces, create, load, commit, drop. A fast stand-in
beside the real server of `seaweed`.

    python rest_catalog.py PORT SQLITE_FILE WAREHOUSE
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.rest import CreateTableRequest, NamespaceResponse, TableResponse
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest, Table
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.typedef import IcebergBaseModel
from sqlalchemy.exc import IntegrityError, OperationalError

STATUS: dict[type[Exception], int] = {
    NoSuchTableError: 404,
    NoSuchNamespaceError: 404,
    NamespaceAlreadyExistsError: 409,
    TableAlreadyExistsError: 409,
    CommitFailedException: 409,
    IntegrityError: 409,
    OperationalError: 503,
}


class Handler(BaseHTTPRequestHandler):
    """One request of the protocol."""

    catalog: Catalog
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _get(self, parts: list[str], _body: bytes) -> Any:
        match parts:
            case ["v1", "config"]:
                return {"defaults": {}, "overrides": {}}
            case ["v1", "namespaces", namespace]:
                found = self.catalog.load_namespace_properties(namespace)
                return NamespaceResponse(namespace=(namespace,), properties=found)
            case ["v1", "namespaces", namespace, "tables", name]:
                return _described(self.catalog.load_table((namespace, name)))
        raise NoSuchTableError("/".join(parts))

    def _post(self, parts: list[str], body: bytes) -> Any:
        match parts:
            case ["v1", "namespaces"]:
                (namespace,) = json.loads(body)["namespace"]
                self.catalog.create_namespace(namespace)
                return NamespaceResponse(namespace=(namespace,))
            case ["v1", "namespaces", namespace, "tables"]:
                # The specification lets a client leave these out.
                optional = dict.fromkeys(("location", "partition-spec", "write-order"))
                asked = CreateTableRequest.model_validate(optional | json.loads(body))
                return _described(
                    self.catalog.create_table(
                        (namespace, asked.name),
                        asked.table_schema,
                        asked.location,
                        asked.partition_spec or UNPARTITIONED_PARTITION_SPEC,
                        asked.write_order or UNSORTED_SORT_ORDER,
                        asked.properties,
                    )
                )
            case ["v1", "namespaces", namespace, "tables", name]:
                change = CommitTableRequest.model_validate_json(body)
                table = self.catalog.load_table((namespace, name))
                return self.catalog.commit_table(
                    table, change.requirements, change.updates
                )
        raise NoSuchTableError("/".join(parts))

    def _delete(self, parts: list[str], _body: bytes) -> Any:
        match parts:
            case ["v1", "namespaces", namespace, "tables", name]:
                self.catalog.drop_table((namespace, name))
                return None
        raise NoSuchTableError("/".join(parts))

    def _answer(self, work: Any) -> None:
        parts = [part for part in urlsplit(self.path).path.split("/") if part]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = 200
        try:
            found = work(parts, body)
        except Exception as error:
            status = STATUS.get(type(error), 500)
            kind = type(error).__name__
            found = {"error": {"message": str(error), "type": kind, "code": status}}
        if isinstance(found, IcebergBaseModel):
            text = found.model_dump_json(by_alias=True, exclude_none=True)
        else:
            text = json.dumps(found) if found is not None else ""
        payload = b"" if self.command == "HEAD" else text.encode()
        self.send_response(status if payload else 204 if status == 200 else status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_request(self, *_: Any) -> None:
        pass


def _described(table: Table) -> TableResponse:
    return TableResponse.model_validate(
        {"metadata-location": table.metadata_location, "metadata": table.metadata}
    )


def serve(port: int, file: str, warehouse: str, **properties: str) -> None:
    """Serve until the process ends."""
    Handler.catalog = load_catalog(
        "served",
        type="sql",
        uri=f"sqlite:///{file}?timeout=30",
        warehouse=warehouse,
        **properties,
    )
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(
        int(sys.argv[1]),
        sys.argv[2],
        sys.argv[3],
        **dict(pair.split("=", 1) for pair in sys.argv[4:]),
    )
