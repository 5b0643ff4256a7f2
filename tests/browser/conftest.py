"""A terminal whose API is open over TCP, and the skip where there is no browser."""

import gc
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import find
from tests.system.rig import Bench, bench

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.fixture(scope="session", autouse=True)
def _needs_a_browser() -> None:
    if find() is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium, or set CHROMIUM to its path")


@pytest.fixture(autouse=True)
def _leaks_are_its_own() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="session")
def scripts() -> dict[str, str]:
    """The scripts that the README shows, as a page would have them."""
    library, sell = re.findall(r"^```js\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    return {"/terminald.js": library, "/sell.js": sell}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number: int = sock.getsockname()[1]
    return number


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Bench]:
    """An activated terminal that is not started yet."""
    with bench(tmp_path) as made:
        yield made


def open_port(terminal: Bench, *origins: str) -> int:
    """Configure a port with a token for pages of these origins, and return its number."""
    port, token = free_port(), terminal.directory / "token"
    pages = ", ".join(f'"{origin}"' for origin in origins)
    keys = f'listen = "localhost:{port}"\ntoken_file = "{token}"\nallowed_origins = [{pages}]\n'
    text = terminal.config.read_text()
    terminal.config.write_text(text.replace("[sale]", f"{keys}[sale]"))
    done = terminal.terminald("token")
    assert done.returncode == 0, done.stderr
    return port
