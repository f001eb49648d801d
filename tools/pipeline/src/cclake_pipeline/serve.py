"""`/health` and `/metrics` of `pipeline watch`, on the loopback interface only."""

import json
from collections.abc import Callable

from cclake_common.loopback import ADDRESS, Handler, Server

from cclake_pipeline.metrics import exposition, health
from cclake_pipeline.record import Record

_SEEN = 50  # newest runs in which the last one that was done is looked for


def serve(record: Record, port: int, say: Callable[[str], None]) -> None:
    """Answer requests in a thread, as long as the process lives.

    A port that is taken is no reason not to run the pipeline: it is told, once.

    Args:
        record: The record of runs.
        port: The port; 0: don't serve.
        say: Told when the port is taken.
    """
    if not port:
        return

    class Answers(_Answers):
        runs = record

    try:
        server = Server((ADDRESS, port), Answers)
    except OSError as error:
        say(f"no metrics on port {port}: {error.strerror} (set PIPELINE_PORT)")
        return
    server.serve_in_background()


class _Answers(Handler):
    runs: Record

    def do_GET(self) -> None:  # noqa: N802 - the library calls it so
        """Answer with the newest runs."""
        if self.path == "/metrics":
            text = exposition(self.runs.recent(_SEEN))
            self.answer(200, "text/plain; version=0.0.4; charset=utf-8", text.encode())
        elif self.path == "/health":
            found = health(self.runs.recent(_SEEN))
            code = 503 if found["status"] == "failing" else 200
            self.answer(code, "application/json", json.dumps(found).encode())
        else:
            self.answer(404, "text/plain; charset=utf-8", b"/health or /metrics\n")
