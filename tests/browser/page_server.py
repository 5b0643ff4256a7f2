"""The web server of a page: it hands out files, and takes what the page reports."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.system.rig import PATIENCE_S

#: What is told by a page as JSON.
Report = dict[str, object]
#: Content by path; a function is asked each time.
Files = dict[str, str | Callable[[], str]]
_TYPES = {"js": "text/javascript", "html": "text/html; charset=utf-8"}


class PageServer:
    """One server on 127.0.0.1, which knows no names: whatever the browser calls it, it is this one."""

    def __init__(self, files: Files, port: int = 0, headers: dict[str, str] | None = None) -> None:
        self.reports: queue.Queue[Report] = queue.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                body = (content if isinstance(content, str) else content()).encode()
                self.send_response(200)
                kind = _TYPES.get(self.path.rpartition(".")[2], "text/plain")
                shown = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
                for name, value in {**shown, **(headers or {}), "Connection": "close"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                outer.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def report(self) -> Report:
        """Return what the page reports next."""
        return self.reports.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def page_server(files: Files, port: int = 0, headers: dict[str, str] | None = None) -> Iterator[PageServer]:
    made = PageServer(files, port, headers)
    try:
        yield made
    finally:
        made.close()
