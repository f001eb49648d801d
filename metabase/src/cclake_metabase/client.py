"""Call the part of Metabase's REST API that dashboards need."""

import sys
import time
from types import TracebackType
from typing import Any

import httpx
from cclake_common.failure import TRY_LATER, Failure


class Client:
    """A session with one Metabase; HTTP errors become a `Failure`."""

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"X-API-KEY": key} if key else {}
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=60, trust_env=False
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def wait(self, seconds: float) -> None:
        """Wait until Metabase is ready; its first start takes minutes.

        Raises:
            Failure: It was not ready within `seconds`.
        """
        until = time.monotonic() + seconds
        reported = False
        while True:
            try:
                if self._http.get("/api/health").json().get("status") == "ok":
                    return
            except (httpx.TransportError, ValueError):
                pass
            if time.monotonic() >= until:
                raise Failure(
                    f"no Metabase is ready at {self._http.base_url}",
                    "Start one (`metabase serve --jar metabase.jar`), or name yours "
                    "with METABASE_URL.",
                    TRY_LATER,
                )
            if not reported:
                where = self._http.base_url
                print(f"waiting for Metabase at {where} ...", file=sys.stderr)
                reported = True
            time.sleep(1)

    def sign_in(self, email: str, password: str) -> None:
        """Start a session; create the user if Metabase has none yet.

        Raises:
            Failure: Metabase refuses the user.
        """
        properties = self.get("/api/session/properties")
        is_new = not properties.get("has-user-setup")
        user = {"email": email, "password": password}
        if is_new:
            names = {"first_name": "Archive", "last_name": "Owner"}
            made = self.post(
                "/api/setup",
                {
                    "token": properties["setup-token"],
                    "user": user | names,
                    "prefs": {"site_name": "cclake", "site_locale": "en"},
                },
            )
        else:
            signed = {"username": email, "password": password}
            made = self.post("/api/session", signed)
        self._http.headers["X-Metabase-Session"] = made["id"]
        if is_new:  # the setup turns tracking on, whatever is sent with it
            self.put("/api/setting/anon-tracking-enabled", {"value": False})

    def get(self, path: str) -> Any:
        """Return the answer to a GET."""
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a POST."""
        return self._call("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a PUT."""
        return self._call("PUT", path, body)

    def exists(self, path: str) -> bool:
        """Return whether an object exists and is not in the trash."""
        try:
            answer = self._http.get(path)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        return not _content(answer).get("archived")

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            return _content(self._http.request(method, path, json=body))
        except httpx.TransportError as error:
            raise _unreachable(error) from error


def _content(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else {}
    asked = f"{answer.request.method} {answer.request.url.path}"
    if answer.status_code in (401, 403):
        raise Failure(
            f"Metabase refuses {asked}",
            "Set METABASE_API_KEY, or METABASE_EMAIL and METABASE_PASSWORD, of an "
            "administrator.",
        )
    raise Failure(f"{asked}: {answer.status_code} {answer.text[:300]}")


def _unreachable(error: httpx.TransportError) -> Failure:
    return Failure(
        f"Metabase does not answer: {error}", "Check that it is running.", TRY_LATER
    )
