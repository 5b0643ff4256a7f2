"""The unit of the activation: the only one with the vendor key, and never beside the daemon."""

import argparse
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from terminald.adapters.gateway_line import CONNECT_PHASES
from terminald.cli.arguments import parse
from terminald.config import Config
from terminald.config_rules import parse_duration

SYSTEMD = Path(__file__).parent.parent / "systemd"
DAEMON, ACTIVATION = "terminald.service", "terminald-activate.service"

#: Tenths of a point on systemd's scale, on which 100 is bare.
MAX_EXPOSURE = 20
#: What the daemon needs for its socket and its endless life.
OF_THE_DAEMON = {"RuntimeDirectory", "RuntimeDirectoryMode", "RuntimeDirectoryPreserve", "InaccessiblePaths"}

Unit = dict[str, list[str]]


def read(name: str) -> Unit:
    """Return the values of each directive, in the order in which they stand."""
    found: Unit = defaultdict(list)
    for line in (SYSTEMD / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


@pytest.fixture
def daemon() -> Unit:
    return read(DAEMON)


@pytest.fixture
def activation() -> Unit:
    return read(ACTIVATION)


def test_only_the_activation_gets_the_vendor_key_and_only_as_a_credential(daemon: Unit, activation: Unit) -> None:
    """I7: an environment and a command line can be read by others, and so can a credential that stands in the unit."""
    assert activation["LoadCredentialEncrypted"] == ["vendor_key"]
    assert activation["LoadCredential"] == ["activation_code"]
    for unit in (daemon, activation):
        assert not [key for key in unit if key.startswith(("SetCredential", "Environment", "PassEnvironment"))]
    assert not [key for key in daemon if "Credential" in key]
    assert "-/etc/terminald/vendor_key" in daemon["InaccessiblePaths"]


def test_the_code_is_not_on_the_command_line_and_goes_away_after_a_success(activation: Unit) -> None:
    (start,) = activation["ExecStart"]
    args = parse(start.split()[1:])
    assert isinstance(args, argparse.Namespace)
    assert (args.command, args.code, args.replace) == ("activate", None, False)
    assert activation["ExecStartPost"] == ["+/bin/rm -f /run/credstore/activation_code"]


def test_it_never_runs_beside_the_daemon_which_runs_again_when_it_is_done(activation: Unit) -> None:
    assert activation["Conflicts"] == [DAEMON]
    assert activation["Before"] == [DAEMON]
    assert (activation["OnSuccess"], activation["OnFailure"]) == ([DAEMON], [DAEMON])
    assert activation["Type"] == ["oneshot"]
    assert "[Install]" not in (SYSTEMD / ACTIVATION).read_text()


def test_it_waits_longer_than_the_gateway_may_take(activation: Unit) -> None:
    (limit,) = activation["TimeoutStartSec"]
    longest = CONNECT_PHASES * parse_duration("1m") + parse_duration("2m")
    assert int(limit.removesuffix("min")) * 60_000 > longest
    assert activation["KillSignal"] == ["SIGINT"]


def test_both_units_are_of_one_user_and_one_state_directory(daemon: Unit, activation: Unit) -> None:
    for key in ("User", "StateDirectory", "StateDirectoryMode"):
        assert activation[key] == daemon[key]
    (name,) = activation["StateDirectory"]
    assert Path("/var/lib", name) == Config().state.directory
    assert activation["ExecStart"][0].split()[0] == daemon["ExecStart"][0].split()[0]


def test_it_is_closed_at_least_as_far_as_the_daemon(daemon: Unit, activation: Unit) -> None:
    closing = re.compile("Protect|Private|Restrict|No|Lock|Capability|SystemCallArch|Limit|Inaccessible")
    wanted = {key for key in daemon if closing.match(key)} - OF_THE_DAEMON - {"RestartPreventExitStatus"}
    assert wanted
    assert not wanted - activation.keys()


@pytest.fixture
def analyze(tmp_path: Path) -> tuple[str, Path]:
    """Return the program, and a copy of the units with a program that is installed here."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here")
    for name in (DAEMON, ACTIVATION):
        text = (SYSTEMD / name).read_text()
        (tmp_path / name).write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
    return program, tmp_path / ACTIVATION


def test_systemd_finds_no_fault(analyze: tuple[str, Path]) -> None:
    program, unit = analyze
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_little_exposed(analyze: tuple[str, Path]) -> None:
    program, unit = analyze
    command = [program, "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "offline" in done.stderr:
        pytest.skip("this systemd-analyze can not look at a unit that is not loaded")
    assert done.returncode == 0, done.stdout
