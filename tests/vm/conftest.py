"""One terminal for all scenarios, which leave it as they found it: ready to take payments."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

import terminald
from tests.vm.image import build_image, cache_directory, dependencies
from tests.vm.machine import Machine
from tests.vm.terminal import Terminal
from tests.vm.world import Gateway, Printer

ROOT = Path(__file__).parent.parent.parent
#: Of Debian: "12" or "13".
RELEASE = os.environ.get("DEBIAN") or "13"
NEXT = f"{terminald.__version__}.1"
_running: list[Terminal] = []


def build(dist: Path, version: str) -> Path:
    """Build the package for this release of Debian."""
    settings = {"DIST": str(dist), "DEBIAN": RELEASE, "DEB_VERSION": version, "PYTHON": sys.executable}
    built = subprocess.run(
        ["/bin/sh", ROOT / "systemd" / "deb" / "build"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(built.stdout.strip())


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this version."""
    return build(tmp_path_factory.mktemp("this"), terminald.__version__)


@pytest.fixture(scope="session")
def next_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program as a later version."""
    return build(tmp_path_factory.mktemp("next"), NEXT)


@pytest.fixture(scope="session")
def blank(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A machine that is switched on, with a gateway and a printer; nothing of terminald is on it."""
    directory = tmp_path_factory.mktemp("world")
    machine = Machine(cache_directory() / f"machine-{os.getpid()}", build_image(RELEASE, dependencies(package)))
    gateway, printer = Gateway(directory), Printer(directory)
    try:
        machine.boot()
        terminal = Terminal(machine, gateway, printer)
        _running.append(terminal)
        yield terminal
        _running.clear()
        terminal.close()
    finally:
        machine.remove()
        printer.close()
        gateway.close()


@pytest.fixture(scope="session")
def terminal(blank: Terminal, package: Path) -> Terminal:
    """The terminal: installed, configured, activated, and ready."""
    installed = blank.install(package)
    assert installed.code == 0, installed.output
    blank.configure()
    activated = blank.activate()
    assert activated.code == 0, activated.output + blank.log()
    blank.wait_ready()
    return blank


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the terminal's log with what has failed."""
    report = yield
    if report.failed and _running:
        report.sections.append(("the terminal's log", _running[0].log()))
    return report
