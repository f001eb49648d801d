"""Who may use the lake: credentials, tokens, signatures, headers and TLS."""

import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cclake_common.failure import TRY_LATER, Failure
from cclake_extract import incremental, splits
from cclake_extract.incremental import extract
from cclake_lake import connection
from cclake_lake.catalog import answering, open_catalog
from cclake_lake.settings import Lake
from certificates import Authority
from chain import Chain
from documents import documents, store
from front_door import ROOT
from harness import Mongod
from lakes import keys, loaded, tool, wanted
from proxy import Proxy
from pymongo.database import Database
from seaweed import KEY, SECRET, TABLES, Seaweed, seaweed
from tiny_dbt import make_project

Db = Database[dict[str, Any]]
Set = Callable[..., None]
PRICING = ROOT / "tests" / "fixtures" / "pricing" / "projects"
REFUSES = "refuses this client"
CREDENTIAL = "ICEBERG_CATALOG_CREDENTIAL"


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Sets settings and takes those away that are None, in a namespace of its own."""
    monkeypatch.setenv("ICEBERG_NAMESPACE", f"t{uuid.uuid4().hex[:8]}")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def change(settings: dict[str, str], **more: str | None) -> None:
        for name, value in (settings | more).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return change


@pytest.mark.parametrize(
    "how", ["credential", "address", "token", "signature", "name of the warehouse"]
)
def test_each_way_to_prove_who_one_is_opens_the_lake(
    db: Db, weed: Seaweed, use: Set, how: str
) -> None:
    without: dict[str, str | None] = {CREDENTIAL: None}
    ways: dict[str, dict[str, str | None]] = {
        "credential": {},
        "address": {
            "ICEBERG_CATALOG_OAUTH2_SERVER_URI": f"{weed.catalog}/v1/oauth/tokens",
            "ICEBERG_CATALOG_SCOPE": "catalog",
        },
        "token": without | {"ICEBERG_CATALOG_TOKEN": weed.token()},
        "signature": without | {"ICEBERG_CATALOG_SIGV4": "s3tables"},
        "name of the warehouse": {"ICEBERG_WAREHOUSE_PATH": TABLES},
    }
    use(weed.settings, **ways[how])
    store(db, list(documents(1, 20)))
    assert extract(Lake.from_env(), db).rows == 20
    assert keys(Lake.from_env()) == wanted(db)


def test_a_token_that_expires_during_an_extraction_is_renewed(
    db: Db, weed: Seaweed, use: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(weed.settings)
    store(db, list(documents(1, 20)))

    def open_late(lake: Lake) -> Any:
        catalog: Any = open_catalog(lake)
        catalog._session.auth.auth_manager._token = "expired"
        return catalog

    monkeypatch.setattr(incremental, "open_catalog", open_late)
    assert extract(Lake.from_env(), db).rows == 20


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({CREDENTIAL: f"{KEY}:a-wrong-one"}, REFUSES),
        ({CREDENTIAL: None}, REFUSES),
        ({CREDENTIAL: None, "ICEBERG_CATALOG_TOKEN": "a-wrong-one"}, REFUSES),
        (
            {
                CREDENTIAL: None,
                "ICEBERG_CATALOG_SIGV4": "s3tables",
                "ICEBERG_S3_SECRET_ACCESS_KEY": "a-wrong-one",
            },
            REFUSES,
        ),
        ({"ICEBERG_WAREHOUSE_PATH": "s3://nobodys"}, "does not accept the request"),
    ],
)
def test_a_refusal_is_not_a_matter_of_later(
    db: Db, weed: Seaweed, use: Set, wrong: dict[str, str | None], said: str
) -> None:
    use(weed.settings, **wrong)
    failure = refused(db)
    assert failure.code == 1 and failure.hint
    assert str(failure).startswith(f"the catalog {weed.catalog} {said}")
    assert "a-wrong-one" not in str(failure) and SECRET not in str(failure)


def refused(db: Db) -> Failure:
    """Return how an extraction with these settings fails."""
    store(db, list(documents(100, 105, buffer="b" * 32)))
    lake = Lake.from_env()
    with pytest.raises(Failure) as failure, answering(lake):
        extract(lake, db)
    db.drop_collection("watermarks")
    db.drop_collection("conversations")
    return failure.value


def test_the_tools_end_with_1_where_they_are_refused(
    db: Db, weed: Seaweed, use: Set
) -> None:
    store(db, list(documents(1, 5)))
    use(weed.settings, **{CREDENTIAL: f"{KEY}:a-wrong-one"})
    for name in ("extract", "load"):
        failed = tool(name)
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"{name}: the catalog {weed.catalog} {REFUSES}")
        assert len(failed.stderr.splitlines()) == 2
        assert "a-wrong-one" not in failed.stderr


def test_a_pipeline_that_is_refused_fails_and_goes_on_once_it_may(
    weed: Seaweed, tmp_path: Path, mongod: Mongod, mongo_db: str
) -> None:
    chain = Chain(tmp_path, mongod.uri, mongo_db)
    chain.env |= weed.settings | {
        "ICEBERG_NAMESPACE": f"t{uuid.uuid4().hex[:8]}",
        "CCLAKE_DBT_DIR": str(make_project(tmp_path / "dbt")),
        "CLAUDE_DIR": str(PRICING),
    }
    chain.archive(PRICING)
    right = chain.env[CREDENTIAL]
    chain.env[CREDENTIAL] = f"{KEY}:a-wrong-one"
    failed = chain.tool("pipeline", "run")
    assert failed.returncode == 1
    (run,) = chain.answer("pipeline", "runs")
    assert run["outcome"] == "failed"
    assert REFUSES in run["stages"][-1]["detail"]
    chain.env[CREDENTIAL] = right
    done = chain.tool("pipeline", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    proof = chain.answer("verify", "--full")
    stores = {one["store"]: one["status"] for one in proof["stores"]}
    assert (stores["mongodb"], stores["iceberg"]) == ("same", "same")


def test_a_refusal_of_s3_is_not_a_matter_of_later(
    db: Db, weed: Seaweed, use: Set, tmp_path: Path
) -> None:
    use(weed.settings)
    store(db, list(documents(1, 5)))
    extract(Lake.from_env(), db)
    use({}, ICEBERG_S3_SECRET_ACCESS_KEY="a-wrong-one")
    with pytest.raises(Failure, match="S3 refuses access to s3://") as failure:
        loaded(Lake.from_env(), tmp_path / "x.duckdb")
    for one in (failure.value, refused(db)):
        assert str(one).startswith("S3 refuses access to s3://")
        assert one.code == 1
        assert "a-wrong-one" not in str(one)


def test_s3_that_is_away_is_a_matter_of_later(db: Db, weed: Seaweed, use: Set) -> None:
    use(weed.settings, ICEBERG_S3_ENDPOINT="http://127.0.0.1:1")
    failure = refused(db)
    assert failure.code == TRY_LATER
    assert str(failure).startswith("S3 does not answer: ")


def test_the_lake_is_reached_by_tls_with_a_private_authority(
    db: Db, mongod: Mongod, weed: Seaweed, use: Set, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    authority = Authority(tmp_path / "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("catalog").both)
    with (
        seaweed(tmp_path / "weed", authority) as server,
        Proxy(server.catalog_port, context) as front,
    ):
        catalog = f"https://127.0.0.1:{front.port}"
        use(server.settings, ICEBERG_CATALOG_URI=catalog)
        failure = refused(db)
        said = f"TLS with the catalog {catalog} fails: certificate verify failed"
        assert str(failure).startswith(said)
        assert failure.code == 1 and "ICEBERG_CA_FILE" in failure.hint

        use({}, ICEBERG_CATALOG_URI=server.catalog)
        failure = refused(db)
        assert str(failure).startswith("TLS with the S3 server fails: ")
        assert failure.code == 1 and "ICEBERG_CA_FILE" in failure.hint

        use({}, ICEBERG_CATALOG_URI=catalog, ICEBERG_CA_FILE=str(authority.file))
        use({}, REQUESTS_CA_BUNDLE=str(Authority(tmp_path / "other").file))
        monkeypatch.setattr(splits, "FILE_ROWS", 20)
        store(db, list(documents(1, 100)))
        lake = Lake.from_env()
        assert extract(lake, db).rows == 100
        assert loaded(lake, tmp_path / "x.duckdb")["rows"] == 100
        assert keys(lake) == wanted(db)


@pytest.fixture
def asked() -> Iterator[ThreadingHTTPServer]:
    """A catalog that only notes the headers of requests, in `requests`, and refuses."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(self.headers)  # type: ignore[attr-defined]
            self.send_response(403)
            self.end_headers()

        def log_request(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_headers_of_a_catalog_and_a_signature_are_sent(
    asked: Any, use: Set
) -> None:
    use(
        {},
        ICEBERG_CATALOG_TYPE="rest",
        ICEBERG_CATALOG_URI=f"http://127.0.0.1:{asked.server_port}",
        ICEBERG_WAREHOUSE_PATH="s3://x/y",
        ICEBERG_CATALOG_HEADERS="Polaris-Realm=mine, X-Team=a%2Cb=c",
        ICEBERG_CATALOG_SIGV4="glue",
        ICEBERG_S3_REGION="eu-central-1",
        ICEBERG_S3_ACCESS_KEY_ID="AKEY",
        ICEBERG_S3_SECRET_ACCESS_KEY="a-secret",
    )
    with pytest.raises(Failure, match=REFUSES) as failure:
        open_catalog(Lake.from_env())
    assert failure.value.code == 1
    (headers,) = asked.requests
    assert headers["Polaris-Realm"] == "mine"
    assert headers["X-Team"] == "a,b=c"
    signed = headers["Authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKEY/")
    assert "/eu-central-1/glue/aws4_request" in signed


def test_headers_that_a_server_repeats_are_masked(
    use: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(
        {},
        ICEBERG_CATALOG_HEADERS="X-Key=key-of-mine%21, Other=short",
        ICEBERG_CATALOG_CREDENTIAL="client:hush-hush",
        ICEBERG_CATALOG_TOKEN="token-of-mine",
    )
    text = "client hush-hush key-of-mine! key-of-mine%21 token-of-mine"
    assert connection.without_secrets(text) == "client *** *** *** ***"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ICEBERG_CATALOG_HEADERS": "not-a-pair"}, "ICEBERG_CATALOG_HEADERS can't be"),
        ({"ICEBERG_CA_FILE": "/not/there"}, "ICEBERG_CA_FILE: /not/there can't be"),
        ({"ICEBERG_CATALOG_SIGV4": "glue"}, "ICEBERG_CATALOG_SIGV4 needs a region"),
        (
            {"ICEBERG_CATALOG_SIGV4": "glue", "ICEBERG_S3_REGION": "us-east-1"},
            "there are no AWS keys to sign requests with",
        ),
        (
            {"ICEBERG_CATALOG_URI": "127.0.0.1:1"},
            "127.0.0.1:1 does not answer as an Iceberg REST catalog",
        ),
    ],
)
def test_a_setting_that_can_not_be_used_is_named(
    use: Set, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    use(
        {
            "ICEBERG_CATALOG_TYPE": "rest",
            "ICEBERG_CATALOG_URI": "http://127.0.0.1:1",
            "ICEBERG_WAREHOUSE_PATH": "s3://x",
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
        },
        AWS_REGION=None,
        AWS_DEFAULT_REGION=None,
        **settings,
    )
    lake = Lake.from_env()
    with pytest.raises(Failure) as failure, answering(lake):
        open_catalog(lake)
    assert str(failure.value).startswith(said)
    assert failure.value.code == 1 and failure.value.hint


def test_signing_without_its_package_is_one_sentence(
    use: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    use({}, ICEBERG_CATALOG_SIGV4="glue", ICEBERG_CATALOG_TYPE="rest")
    use({}, ICEBERG_CATALOG_URI="http://127.0.0.1:1", ICEBERG_S3_REGION="x")
    monkeypatch.setattr(connection, "find_spec", lambda _name: None)
    with pytest.raises(Failure, match="needs the package boto3") as failure:
        open_catalog(Lake.from_env())
    assert "pip install boto3" in failure.value.hint
