"""The units: the daemon, its socket, and the activation, the only one with the vendor key."""

import argparse
import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from terminald.adapters.api_listeners import addresses
from terminald.adapters.api_socket import BACKLOG
from terminald.adapters.gateway_line import CONNECT_PHASES
from terminald.cli.arguments import parse
from terminald.cli.outcome import CONFIG_WRONG
from terminald.config import Config
from terminald.config_rules import Address, parse_address, parse_duration

SYSTEMD = Path(__file__).parent.parent / "systemd"
DAEMON, SOCKET, ACTIVATION = "terminald.service", "terminald.socket", "terminald-activate.service"
UNITS = (DAEMON, SOCKET, ACTIVATION)
#: The unit that a terminal with callers over TCP has as well.
PORT = "terminald-tcp.socket"

#: Tenths of a point on systemd's scale, on which 100 is bare.
MAX_EXPOSURE = 15
#: systemd's version that brought RestartSteps=.
HAS_BACKOFF = 254

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
    """Nor does a caller of the socket start the daemon meanwhile, which would end the activation half-way."""
    assert activation["Conflicts"] == [f"{DAEMON} {SOCKET} {PORT}"]
    assert activation["Before"] == [f"{DAEMON} {SOCKET} {PORT}"]
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
    wanted = {key for key in daemon if closing.match(key)} - {"RestartPreventExitStatus", "InaccessiblePaths"}
    assert wanted
    assert not wanted - activation.keys()


# --- the daemon ------------------------------------------------------------------------------------------------------


def test_it_runs_on_every_systemd_from_252_on(daemon: Unit) -> None:
    """A type that is not known there would silently be "simple": no readiness, no watchdog."""
    assert daemon["Type"] == ["notify"]
    assert not {"RestartSteps", "RestartMaxDelaySec", "ReloadSignal"} & daemon.keys()


def test_it_is_never_given_up_but_for_a_wrong_configuration(daemon: Unit) -> None:
    assert daemon["StartLimitIntervalSec"] == ["0"]
    assert daemon["Restart"] == ["always"]
    assert daemon["RestartPreventExitStatus"] == [str(CONFIG_WRONG)]


@pytest.mark.parametrize(("status", "said"), [(str(CONFIG_WRONG), "waits\n"), ("1", ""), ("KILL", "")])
def test_a_caller_does_not_have_a_wrong_configuration_tried_at_once_and_for_ever(
    daemon: Unit, status: str, said: str
) -> None:
    (line,) = daemon["ExecStopPost"]
    words = shlex.split(line.replace("sleep 10", "echo waits"))
    done = subprocess.run(words, env={"EXIT_STATUS": status}, capture_output=True, text=True, check=True)
    assert done.stdout == said


def test_a_reload_looks_at_the_configuration_before_the_daemon_does(daemon: Unit) -> None:
    look, reload = daemon["ExecReload"]
    assert look.split()[0] == daemon["ExecStart"][0].split()[0]
    args = parse(look.split()[1:])
    assert isinstance(args, argparse.Namespace)
    assert args.command == "check"
    assert reload == "/bin/kill -HUP $MAINPID"


def test_devices_that_are_plugged_in_later_are_allowed(daemon: Unit) -> None:
    """A group whose driver is not loaded when the unit starts is silently left out: the drivers come first."""
    assert daemon["DevicePolicy"] == ["closed"]
    allowed = {row.split()[0] for row in daemon["DeviceAllow"]}
    #: Who makes the group known: the module, or what is there from the boot on.
    makers = {
        "char-ttyUSB": "usbserial",
        "char-ttyACM": "cdc_acm",
        "char-input": "evdev",
        "char-usb": "usblp",
        "char-usb_device": "",
        "char-ttyS": "",
        "char-ttyAMA": "",
        "char-gpiochip": "",
    }
    assert allowed == makers.keys()
    wanted = {f"modprobe@{module}.service" for module in makers.values() if module}
    assert set(daemon["Wants"][0].split()) == wanted
    assert wanted <= {unit for row in daemon["After"] for unit in row.split()}
    assert all(row.endswith(" rw") for row in daemon["DeviceAllow"])
    assert not {"PrivateDevices", "BindsTo"} & daemon.keys()


def test_it_waits_for_neither_network_nor_time_nor_devices(daemon: Unit) -> None:
    waits = {unit for key in ("After", "Requires", "Wants") for row in daemon[key] for unit in row.split()}
    assert not {"network-online.target", "time-sync.target"} & waits
    assert not [unit for unit in waits if unit.endswith(".device")]


def test_it_can_tell_who_calls_and_which_boot_it_is(daemon: Unit) -> None:
    """In a user namespace every caller is nobody; without /proc/sys there is no boot id (I10)."""
    assert not {"PrivateUsers", "ProcSubset", "DynamicUser"} & daemon.keys()


# --- the socket ------------------------------------------------------------------------------------------------------


def test_the_socket_is_where_everybody_looks_for_it_and_not_in_a_directory_of_the_service(daemon: Unit) -> None:
    socket = read(SOCKET)
    assert socket["ListenStream"] == [str(Config().api.socket)]
    assert "RuntimeDirectory" not in daemon
    assert daemon["Requires"] == [SOCKET]
    assert SOCKET in daemon["After"][0].split()
    assert int(socket["DirectoryMode"][0], 8) & 0o001
    assert int(socket["SocketMode"][0], 8) == 0o660
    assert socket["Backlog"] == [str(BACKLOG)]
    assert "Accept" not in socket


def test_the_user_and_the_groups_of_the_units_are_made(daemon: Unit) -> None:
    lines = (SYSTEMD / "terminald.sysusers").read_text().splitlines()
    rows = [shlex.split(line)[:2] for line in lines if not line.startswith("#")]
    assert rows.count(["u", daemon["User"][0]]) == 1
    assert ["g", read(SOCKET)["SocketGroup"][0]] in rows


# --- drop-ins --------------------------------------------------------------------------------------------------------


def test_the_drop_ins_say_where_they_belong_and_are_not_installed_by_themselves() -> None:
    found = {path.name: path.read_text() for path in (SYSTEMD / "drop-in").iterdir()}
    places = {
        "journald-persistent.conf": "/etc/systemd/journald.conf.d/60-terminald.conf",
        "hardware-watchdog.conf": "/etc/systemd/system.conf.d/60-terminald.conf",
        "restart-backoff.conf": "/etc/systemd/system/terminald.service.d/backoff.conf",
        PORT: f"/etc/systemd/system/{PORT}",
    }
    assert found.keys() == places.keys()
    for name, text in found.items():
        assert f"Install as {places[name]}" in text
    assert "\nStorage=persistent\n" in found["journald-persistent.conf"]
    assert "\nRuntimeWatchdogSec=15s\n" in found["hardware-watchdog.conf"]


def test_the_port_that_systemd_holds_is_one_that_the_daemon_takes(daemon: Unit) -> None:
    four, six = re.findall(r"(?m)^#?ListenStream=(.*)$", (SYSTEMD / "drop-in" / PORT).read_text())
    assert read(f"drop-in/{PORT}")["ListenStream"] == [four]
    held = [parse_address(four), parse_address(six)]
    assert [one.host for one in held] == list(addresses(Address(host="localhost", port=8765)))
    assert {one.port for one in held} == {8765}
    families = daemon["RestrictAddressFamilies"][0].split()
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(families)
    # Else the daemon could not serve it, or bind it itself.
    assert not [key for key in daemon if key.startswith(("IPAddress", "SocketBind", "PrivateNetwork"))]


def test_a_port_that_is_taken_at_the_boot_fails_nothing_but_its_own_unit(daemon: Unit) -> None:
    """What the daemon requires and can not have is not tried again; what it binds itself is, every second."""
    port = read(f"drop-in/{PORT}")
    assert PORT not in daemon["Requires"]
    assert port["WantedBy"] == [f"sockets.target {DAEMON}"]
    assert port["Service"] == [DAEMON]
    assert port["PartOf"] == [SOCKET], "a caller there would start a daemon that was stopped"
    assert port["Backlog"] == [str(BACKLOG)]


# --- what systemd says -----------------------------------------------------------------------------------------------


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a directory with copies of the units, with programs that are installed here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name in UNITS:
        text = (SYSTEMD / name).read_text()
        (tmp_path / name).write_text(re.sub(r"(?m)^(Exec\w+)=.*", r"\1=/bin/true", text))
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_no_fault(units: Path, name: str) -> None:
    done = analyze("verify", str(units / name))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_no_fault_in_the_backoff(units: Path) -> None:
    version = int(analyze("--version").stdout.split()[1].split(".")[0].split("~")[0])
    if version < HAS_BACKOFF:
        pytest.skip(f"systemd {version} does not know RestartSteps=; {HAS_BACKOFF} does")
    (units / f"{DAEMON}.d").mkdir()
    shutil.copy(SYSTEMD / "drop-in" / "restart-backoff.conf", units / f"{DAEMON}.d")
    done = analyze("verify", str(units / DAEMON))
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_finds_no_fault_in_the_port(units: Path) -> None:
    shutil.copy(SYSTEMD / "drop-in" / PORT, units)
    done = analyze("verify", str(units / PORT))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [DAEMON, ACTIVATION])
def test_systemd_finds_little_exposed(units: Path, name: str) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(units / name))
    if "offline" in done.stderr:
        pytest.skip("this systemd-analyze can not look at a unit that is not loaded")
    assert done.returncode == 0, done.stdout
