"""``config/provision``: many terminals from one list, with the real activation and stand-ins for ssh and systemd."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from terminald.simulator.gateway import Fault
from tests.cli.simulated_gateway import APP_ID, VENDOR_KEY, VENDOR_SN, RunningGateway, running_gateway

SCRIPT = Path(__file__).parent.parent.parent / "config" / "provision"
ONE, TWO, ABSENT = "10.0.0.1", "10.0.0.2", "10.0.0.9"
CODE, OTHER = "48217366", "55550123"

#: A terminal is a directory here; what root does there, this user does.
STAND_INS = {
    "ssh": """
printf '%s ' "$@" >>"$WORLD/argv"
address=${3#root@}
[ "$address" != 10.0.0.9 ] || { echo "no route to host" >&2; exit 255; }
there=$WORLD/$address
mkdir -p "$there/run" "$there/etc/terminald"
export there TERMINALD_CONFIG="$there/etc/terminald/terminald.toml"
exec sh -c "$(printf '%s' "$4" | sed "s|/run/|$there/run/|g; s|/etc/|$there/etc/|g")"
""",
    "systemctl": 'echo "$*" >>"$there/systemctl"',
    "chown": "exit 0",
    "runuser": 'shift 3; printf "%s " "$@" >>"$WORLD/argv"; exec "$@"',
    "terminald": 'exec "$PYTHON" -m terminald "$@"',
}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where the operator sits."""

    directory: Path

    def write_list(self, *lines: str) -> None:
        (self.directory / "list").write_text("# name address code\n" + "".join(f"{line}\n" for line in lines))

    def provision(self) -> subprocess.CompletedProcess[str]:
        there = self.directory / "bin"
        environment = {
            **os.environ,
            "PATH": f"{there}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "WORLD": str(self.directory),
        }
        argv = ["sh", str(SCRIPT), *(str(self.directory / name) for name in ("list", "template", "results"))]
        return subprocess.run(
            argv, input=f"{VENDOR_KEY}\n", env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    def states(self) -> list[tuple[str, str]]:
        lines = (self.directory / "results").read_text().splitlines()
        return [(name, state) for name, _, state, *_ in (line.split() for line in lines)]


@pytest.fixture
def gateway() -> Iterator[RunningGateway]:
    with running_gateway(**{CODE: 2, OTHER: 1}) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, gateway: RunningGateway) -> Desk:
    (tmp_path / "bin").mkdir()
    for name, text in STAND_INS.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    (tmp_path / "template").write_text(
        f'[terminal]\nname = "@NAME@"\n[gateway]\nurl = "{gateway.url}"\nread_timeout = "2s"\n'
        f'[vendor]\nsn = "{VENDOR_SN}"\napp_id = "{APP_ID}"\n'
        f'[state]\ndirectory = "{tmp_path}/state-@NAME@"\n'
        '[[scanner]]\nname = "front"\ndevice = "/dev/ttyACM0"\n'
    )
    return Desk(directory=tmp_path)


def test_each_terminal_of_the_list_gets_its_name_and_an_identity_once(desk: Desk, gateway: RunningGateway) -> None:
    desk.write_list(f"hall-1 {ONE} {CODE}", f"hall-2 {TWO} {CODE}")
    first = desk.provision()
    assert first.returncode == 0, first.stdout + first.stderr
    assert desk.states() == [("hall-1", "activated"), ("hall-2", "activated")]
    told = [json.loads(line.split(maxsplit=3)[3]) for line in (desk.directory / "results").read_text().splitlines()]
    assert len({each["sn"] for each in told}) == 2
    assert 'name = "hall-2"' in (desk.directory / TWO / "etc/terminald/terminald.toml").read_text()
    again = desk.provision()
    assert (again.returncode, again.stdout) == (0, "")
    (desk.directory / "results").unlink()
    assert desk.provision().returncode == 0
    assert desk.states() == [("hall-1", "already"), ("hall-2", "already")]
    assert len(gateway.world.view().terminals) == 2


def test_no_secret_is_on_a_command_line_or_stays_behind(desk: Desk) -> None:
    desk.write_list(f"hall-1 {ONE} {CODE}")
    assert desk.provision().returncode == 0
    argv = (desk.directory / "argv").read_text()
    assert "activate" in argv
    assert VENDOR_KEY not in argv
    assert CODE not in argv
    assert list((desk.directory / ONE / "run").iterdir()) == []
    (desk.directory / "list").unlink()
    kept = [path for path in desk.directory.rglob("*") if path.is_file()]
    assert [path for path in kept if VENDOR_KEY.encode() in path.read_bytes()] == []
    assert [path for path in kept if CODE.encode() in path.read_bytes()] == []
    assert (desk.directory / ONE / "systemctl").read_text().splitlines() == [
        "stop terminald.socket terminald",
        "start terminald.socket terminald",
    ]


def test_what_spent_no_use_of_a_code_is_tried_again_the_next_time(desk: Desk) -> None:
    desk.write_list(f"hall-1 {ONE} 00000000", f"hall-9 {ABSENT} {CODE}")
    assert desk.provision().returncode == 1
    desk.write_list(f"hall-1 {ONE} {OTHER}")
    assert desk.provision().returncode == 0
    assert desk.states() == [("hall-1", "unspent"), ("hall-9", "unreached"), ("hall-1", "activated")]


def test_a_use_that_may_be_gone_waits_for_a_person(desk: Desk, gateway: RunningGateway) -> None:
    gateway.world.faults.add(Fault(kind="close_answer", path="activate", count=1))
    desk.write_list(f"hall-1 {ONE} {OTHER}", f"hall-2 {TWO} {CODE}")
    assert desk.provision().returncode == 1
    assert desk.states() == [("hall-1", "unclear"), ("hall-2", "activated")]
    assert "hall-1" in (desk.directory / "results").read_text()
    assert desk.provision().stdout == ""


def test_a_wrong_configuration_is_not_installed(desk: Desk) -> None:
    template = desk.directory / "template"
    template.write_text(template.read_text() + "[no_such_table]\n")
    desk.write_list(f"hall-1 {ONE} {CODE}")
    assert desk.provision().returncode == 1
    assert desk.states() == [("hall-1", "unspent")]
    assert list((desk.directory / ONE / "etc/terminald").iterdir()) == []


@pytest.mark.parametrize(
    "lines",
    [
        [f"hall-1 {ONE}"],
        [f"hall-1 {ONE} {CODE}", f"hall-1 {TWO} {CODE}"],
        [f"hall-1 {ONE} {CODE}", f"hall-2 {ONE} {CODE}"],
        [f"hall/1 {ONE} {CODE}"],
        [f"hall-1 -oProxyCommand=x {CODE}"],
    ],
)
def test_a_wrong_list_is_refused_before_anything_is_done(desk: Desk, lines: list[str]) -> None:
    desk.write_list(*lines)
    refused = desk.provision()
    assert refused.returncode == 2
    assert "list:" in refused.stderr
    assert not (desk.directory / "argv").exists()
