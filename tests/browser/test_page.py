"""A real browser shows a page that sells, and pages that are up to no good. The daemon is the real one."""

import signal
from pathlib import Path

import pytest

from tests.browser.chromium import showing
from tests.browser.conftest import free_port, open_port
from tests.browser.page_server import Files, PageServer, page_server
from tests.system.rig import Bench

pytestmark = pytest.mark.system

CODE = "130812345678912300"
PAGES = Path(__file__).parent / "pages"


def page(name: str, reports: int, **values: str | int) -> str:
    """Return a page with a script of ours; what stands in capitals in it is filled in."""
    text = "".join((PAGES / f"{each}.js").read_text() for each in ("tell", name))
    for mark, value in {"REPORTS": reports, **values}.items():
        text = text.replace(mark, str(value))
    return f"<!doctype html><title>t</title><body><script type=module>{text}</script>"


def sales(terminal: Bench) -> list[dict[str, object]]:
    found: list[dict[str, object]] = terminal.api.get("/v1/sales").json()["sales"]
    return found


def pay(terminal: Bench) -> None:
    """Hold a code before the scanner until it is taken: it may listen a moment after the sale is seen."""

    def is_taken() -> bool:
        if terminal.sale("from-a-page").state == "awaiting_payment":
            terminal.scanner.scan(CODE)
            return False
        return True

    terminal.wait(is_taken, "the code")


# --- a page that sells -----------------------------------------------------------------------------------------------


@pytest.fixture
def kiosk(terminal: Bench, scripts: dict[str, str]) -> "Kiosk":
    return Kiosk(terminal, scripts)


class Kiosk:
    """The page of a kiosk with its own server, which hands the token out."""

    def __init__(self, terminal: Bench, scripts: dict[str, str]) -> None:
        self.port = free_port()
        self.api_port = open_port(terminal, f"http://localhost:{self.port}")
        self.url = f"http://localhost:{self.port}/page.html"
        self._files: Files = {**scripts, "/token": (terminal.directory / "token").read_text}

    def shows(self, name: str) -> PageServer:
        self._files["/page.html"] = page(name, self.port, PORT=self.api_port)
        return PageServer(self._files, self.port)


def test_a_page_sells_with_the_scripts_of_the_readme(terminal: Bench, kiosk: Kiosk, tmp_path: Path) -> None:
    terminal.start()
    terminal.wait_ready()
    server = kiosk.shows("sells")
    try:
        with showing(kiosk.url, tmp_path / "profile"):
            terminal.wait(lambda: bool(sales(terminal)), "the page's sale")
            pay(terminal)
            report = server.report()
    finally:
        server.close()
    sale = report["sale"]
    assert isinstance(sale, dict)
    assert "value" in sale, report
    assert (sale["value"]["reference"], sale["value"]["paid"]) == ("from-a-page", 350)
    shown = report["shown"]
    assert isinstance(shown, list)
    assert (shown[0], shown[-1]) == ("awaiting_payment", "paid")
    assert report["again"] == {"error": "Error", "code": "reference_conflict", "status": 409}
    assert report["refund"] == {"error": "Error", "code": "forbidden", "status": 403}
    assert report["ready"] is True
    assert terminal.books().kept == 350


def test_a_page_goes_on_where_it_was_when_the_daemon_is_killed(terminal: Bench, kiosk: Kiosk, tmp_path: Path) -> None:
    terminal.start()
    terminal.wait_ready()
    server = kiosk.shows("sells")
    try:
        with showing(kiosk.url, tmp_path / "profile"):
            terminal.wait(lambda: bool(sales(terminal)), "the page's sale")
            terminal.stop(signal.SIGKILL)
            terminal.start()
            terminal.wait(
                lambda: terminal.log.read_text().count("log_id=device_ready device=front") > 1, "the scanner again"
            )
            terminal.wait_ready()
            pay(terminal)
            report = server.report()
    finally:
        server.close()
    sale = report["sale"]
    assert isinstance(sale, dict)
    assert sale.get("value", {}).get("paid") == 350, report
    assert len(sales(terminal)) == 1
    assert terminal.books().kept == 350


def test_a_page_is_let_out_with_its_old_token_and_in_with_the_new_one(
    terminal: Bench, kiosk: Kiosk, tmp_path: Path
) -> None:
    terminal.start()
    terminal.wait_ready()
    server = kiosk.shows("rotates")
    try:
        with showing(kiosk.url, tmp_path / "profile"):
            assert server.report() == {"first": True}
            assert terminal.terminald("token").returncode == 0
            assert terminal.daemon is not None
            terminal.daemon.send_signal(signal.SIGHUP)
            report = server.report()
    finally:
        server.close()
    refusal = {"error": "Error", "code": "unauthorized", "status": 401}
    assert report == {"stream": refusal, "refused": refusal, "after": True}


# --- pages of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1"])
def test_a_page_of_another_origin_gets_nowhere_even_with_the_token(host: str, terminal: Bench, tmp_path: Path) -> None:
    """Another port of this machine is another origin as well."""
    port = open_port(terminal, "http://localhost:8080")
    terminal.start()
    terminal.wait_ready()
    token = (terminal.directory / "token").read_text().strip()
    files: Files = {}
    with page_server(files) as server:
        files["/page.html"] = page("attacks", server.port, PORT=port, TOKEN=token)
        with showing(f"http://{host}:{server.port}/page.html", tmp_path / "profile"):
            report = server.report()
    failed = {"error": "TypeError"}
    assert report == {
        "read": failed,
        "post": failed,
        "cookie": failed,
        # Sent, and refused: the page does not see that.
        "blind": {"value": "opaque0"},
        "blindJson": {"value": "opaque0"},
        "beacon": True,
        "events": "error",
        "socket": "error",
        "image": "error",
        "script": "error",
        "form": "load",
    }
    assert sales(terminal) == []
    assert (
        f'code=origin_not_allowed detail="Pages of http://{host}:{server.port} may not call' in terminal.log.read_text()
    )
    assert token not in terminal.log.read_text()


def test_the_page_of_an_allowed_origin_reads_that_its_token_is_wrong(
    terminal: Bench, kiosk: Kiosk, tmp_path: Path
) -> None:
    terminal.start()
    terminal.wait_ready()
    server = kiosk.shows("mistakes")
    try:
        with showing(kiosk.url, tmp_path / "profile"):
            report = server.report()
    finally:
        server.close()
    refusal = {"error": "Error", "code": "unauthorized", "status": 401}
    assert report == {"none": refusal, "wrong": refusal}


def test_a_name_that_is_bound_anew_to_this_machine_gets_nowhere_even_with_the_token(
    terminal: Bench, tmp_path: Path
) -> None:
    """For the browser it is one origin: first the stranger's server has the port, then terminald has it."""
    port = open_port(terminal, "http://localhost:8080")
    token = (terminal.directory / "token").read_text().strip()
    with page_server({}) as reports:
        files: Files = {"/page.html": page("rebinds", reports.port, TOKEN=token)}
        stranger = PageServer(files, port)
        with showing(f"http://rebind.example:{port}/page.html", tmp_path / "profile"):
            assert reports.report() == {"loaded": f"http://rebind.example:{port}"}
            stranger.close()
            terminal.start()
            terminal.wait_ready()
            report = reports.report()
    # The page may read it, as it believes to be of the same origin.
    assert report == {"status": 403, "type": "basic", "code": "host_not_allowed", "read": "host_not_allowed"}
    assert sales(terminal) == []
    assert f"the Host header says rebind.example:{port}" in terminal.log.read_text()
