"""The Debian package: what is in it, and what its scripts do when dpkg itself runs them, in a root of its own.

It is built without the libraries that it brings along, so that no index is needed.
"""

import ast
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib.metadata import requires
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import terminald

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "systemd" / "deb"
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
#: The release of Debian that has the Python that runs these tests.
RELEASES = {(3, 11): "12", (3, 13): "13"}
PROGRAM = PurePosixPath("opt/terminald/.venv")
CONFIG, STATE = "etc/terminald/terminald.toml", "var/lib/terminald"

#: What is compiled, and what has machine code behind it, by the name of its Debian package.
OF_DEBIAN = {
    "pyserial": "python3-serial",
    "evdev": "python3-evdev",
    "pyusb": "python3-usb",
    "pillow": "python3-pil",
    "msgspec": "python3-msgspec",
}

DPKG, DPKG_DEB = (shutil.which(name) or "" for name in ("dpkg", "dpkg-deb"))
release = RELEASES.get(sys.version_info[:2])
needs_dpkg = pytest.mark.skipif(not (DPKG_DEB and release), reason="builds with dpkg-deb, on Debian")


def build(dist: Path, **settings: str) -> Path:
    """Build a package for the release whose Python runs the tests; return its path."""
    given = {"DIST": str(dist), "DEBIAN": release or "", "VENDORED": "no", "TARGET_PYTHON": sys.executable}
    built = subprocess.run(
        ["/bin/sh", RECIPE / "build"],
        env={**os.environ, "ARCH": "amd64", "PYTHON": sys.executable, **given, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return ROOT / built.stdout.strip()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def files(package: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(_content(package))) as content:
        return {member.name.removeprefix("./"): member for member in content}


def _content(package: Path) -> bytes:
    return subprocess.run([DPKG_DEB, "--fsys-tarfile", package], capture_output=True, check=True).stdout


def _read(package: Path, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(_content(package))) as content:
        found = content.extractfile(f"./{name}")
        assert found
        return found.read()


def _field(package: Path, name: str) -> str:
    return subprocess.run([DPKG_DEB, "--field", package, name], capture_output=True, text=True, check=True).stdout


# --- what is in it ---------------------------------------------------------------------------------------------------


@needs_dpkg
def test_it_is_named_by_version_release_and_architecture(package: Path) -> None:
    arch = "all" if release == "13" else "amd64"
    assert package.name == f"terminald_{terminald.__version__}+deb{release}_{arch}.deb"
    assert _field(package, "Architecture").strip() == arch


def test_the_readme_names_the_package_of_this_version() -> None:
    named = re.findall(r"dist/terminald_(\S+?)\+deb\d+_\w+\.deb", (ROOT / "README.md").read_text())
    assert named == [terminald.__version__]


@needs_dpkg
def test_the_same_sources_give_the_same_bytes(package: Path, tmp_path: Path) -> None:
    again = build(tmp_path, TZ="Asia/Shanghai", LC_ALL="C.UTF-8", PYTHONHASHSEED="7", HOME=str(tmp_path))
    assert again.read_bytes() == package.read_bytes()


@needs_dpkg
def test_units_rules_users_pages_and_completion_are_where_they_are_looked_for(
    files: dict[str, tarfile.TarInfo],
) -> None:
    assert {
        *(f"usr/lib/systemd/system/{unit.name}" for unit in (ROOT / "systemd").glob("terminald*.s[eo]*[et]")),
        *("usr/lib/sysusers.d/terminald.conf", "usr/lib/udev/rules.d/65-terminald.rules", "usr/bin/terminald"),
        *("usr/share/man/man1/terminald.1.gz", "usr/share/man/man5/terminald.toml.5.gz"),
        *("usr/share/bash-completion/completions/terminald", "opt/terminald/README.md"),
        *(f"opt/terminald/config/{path.name}" for path in (ROOT / "config").glob("*.toml")),
        "opt/terminald/config/provision",
    } <= files.keys()
    assert files["usr/bin/terminald"].linkname == f"/{PROGRAM}/bin/terminald"
    assert len([name for name in files if name.startswith("usr/lib/systemd/system/")]) == 3


@needs_dpkg
def test_the_unit_starts_what_the_package_holds(package: Path, files: dict[str, tarfile.TarInfo]) -> None:
    unit = (ROOT / "systemd" / "terminald.service").read_text()
    (program,) = re.findall(r"^ExecStart=/(\S+)", unit, re.MULTILINE)
    assert files[program].mode == 0o755
    assert _read(package, program).startswith(f"#!/{PROGRAM}/bin/python3 -I\n".encode())
    assert files[f"{PROGRAM}/bin/python3"].linkname == "/usr/bin/python3.{1}".format(*sys.version_info)
    assert b"include-system-site-packages = true" in _read(package, f"{PROGRAM}/pyvenv.cfg")


@needs_dpkg
def test_everything_is_of_root_and_for_root_alone_to_change(files: dict[str, tarfile.TarInfo]) -> None:
    assert {(each.uname, each.gname) for each in files.values()} == {("root", "root")}
    assert {oct(each.mode) for each in files.values() if not each.issym()} == {"0o755", "0o644"}
    assert {each.mtime for each in files.values()} == {next(iter(files.values())).mtime}


@needs_dpkg
def test_every_module_is_there_compiled_for_the_python_of_the_release(files: dict[str, tarfile.TarInfo]) -> None:
    """The service may not write beside them, and would compile them at each start."""
    modules = {name for name in files if name.endswith(".py") and name.startswith(str(PROGRAM / "lib"))}
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "terminald").rglob("*.py")}
    assert {name.partition("site-packages/")[2] for name in modules} >= ours
    tag = sys.implementation.cache_tag
    compiled = {str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc") for path in map(PurePosixPath, modules)}
    assert compiled == {name for name in files if name.endswith(".pyc")}


@needs_dpkg
def test_a_compiled_module_names_its_place_on_the_terminal_and_is_not_compared_with_a_time(package: Path) -> None:
    compiled = f"{PROGRAM}/lib/python3.{sys.version_info[1]}/site-packages/terminald/__pycache__/app."
    data = _read(package, f"{compiled}{sys.implementation.cache_tag}.pyc")
    assert int.from_bytes(data[4:8], "little") == 0b01  # by hash, not to be checked (PEP 552)
    assert b"/opt/terminald/.venv/lib" in data
    assert b"/tmp" not in data


@needs_dpkg
def test_damage_can_be_found(package: Path, files: dict[str, tarfile.TarInfo]) -> None:
    sums = subprocess.run([DPKG_DEB, "--info", package, "md5sums"], capture_output=True, text=True, check=True).stdout
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in sums.splitlines())}
    assert listed.keys() == {name for name, member in files.items() if member.isfile()}
    with tarfile.open(fileobj=io.BytesIO(_content(package))) as content:
        for name, digest in listed.items():
            found = content.extractfile(f"./{name}")
            assert found
            assert hashlib.md5(found.read(), usedforsecurity=False).hexdigest() == digest


@needs_dpkg
def test_no_file_of_it_is_asked_about_that_terminals_change(package: Path) -> None:
    listed = subprocess.run([DPKG_DEB, "--info", package, "conffiles"], capture_output=True, text=True, check=True)
    assert listed.stdout == "/etc/needrestart/conf.d/terminald.conf\n"


@needs_dpkg
def test_a_page_can_be_read(package: Path) -> None:
    assert gzip.decompress(_read(package, "usr/share/man/man1/terminald.1.gz")).startswith(b".TH terminald 1 ")


# --- the libraries ---------------------------------------------------------------------------------------------------


def vendored(name: str) -> dict[str, str]:
    """Return the versions of a list; each entry has its hashes."""
    text = (RECIPE / name).read_text().replace("\\\n", "")
    entries = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert all(entry[1:] and all(part.startswith("--hash=sha256:") for part in entry[1:]) for entry in entries)
    return {canonicalize_name(pin): version for pin, _, version in (entry[0].partition("==") for entry in entries)}


def test_every_dependency_comes_with_it_or_from_debian() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    control = (RECIPE / "build").read_text()
    brought, in_twelve = vendored("vendored.txt"), vendored("vendored-12.txt")
    wanted = [*project["dependencies"], *project["optional-dependencies"]["mqtt"]]
    for dependency in map(Requirement, wanted):
        name = canonicalize_name(dependency.name)
        assert (name in brought) != (name in OF_DEBIAN), name
        if name in OF_DEBIAN:
            assert f"{OF_DEBIAN[name]} (>= " in control
        for version in filter(None, (brought.get(name), in_twelve.get(name))):
            assert dependency.specifier.contains(version), name


def imported_by_the_program() -> set[str]:
    """Return the first part of the name of every module that is imported anywhere in it."""
    nodes = [node for path in (ROOT / "terminald").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in named}


def test_it_depends_on_what_is_used_and_on_nothing_else() -> None:
    recipe = (RECIPE / "build").read_text()
    listed = re.search(r"^Depends: (.*)$", recipe, re.MULTILINE)
    compiled = re.search(r"compiled='(.+)'", recipe)
    assert listed
    assert compiled
    depends = {re.split(r"[ (]", one)[0] for one in listed[1].replace("${compiled}", compiled[1]).split(", ")}
    named = {"pyserial": "serial", "pyusb": "usb", "pillow": "PIL"}
    imported = imported_by_the_program()
    used = {"python3", *(debian for name, debian in OF_DEBIAN.items() if named.get(name, name) in imported)}
    scripts = "".join((RECIPE / script).read_text() for script in SCRIPTS)
    tools = {"init-system-helpers": "deb-systemd-helper", "systemd": "systemd-sysusers", "udev": "udevadm"}
    used |= {name for name, tool in tools.items() if tool in scripts}
    # A library that comes with the package needs it.
    used |= {"python3-yaml"} if any("pyyaml" in one.lower() for one in requires("python-escpos") or []) else set()
    # The authorities of the system are those that the gateway is trusted by.
    gateway = (ROOT / "terminald" / "adapters" / "gateway_line.py").read_text()
    used |= {"ca-certificates"} if "get_default_verify_paths" in gateway else set()
    assert depends == used


def test_machine_code_comes_with_it_only_where_debian_has_it_not() -> None:
    assert vendored("vendored-12.txt").keys() == {"msgspec", "pillow"}
    assert not vendored("vendored.txt").keys() & OF_DEBIAN.keys()


# --- its scripts -----------------------------------------------------------------------------------------------------

#: Says what it was called with. "terminald drain" does as the file "drained" says; "systemctl show" answers with the
#: first line that is left of the file "states".
STUB = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
test "${0##*/}" != terminald || exit "$(cat "$CALLS.drained" 2>/dev/null || echo 0)"
test "${0##*/} $1" = "systemctl show" || exit 0
head -n 1 "$CALLS.states" 2>/dev/null || echo inactive
sed -i 1d "$CALLS.states" 2>/dev/null || :
"""
COMMANDS = (
    "systemctl",
    "systemd-sysusers",
    "deb-systemd-helper",
    "deb-systemd-invoke",
    "terminald",
    "udevadm",
    "sleep",
)
START = "deb-systemd-invoke start terminald.socket terminald.service"
STOP = "deb-systemd-invoke stop terminald.socket terminald.service"
DRAIN = "terminald drain --until-restart"
ACTIVATING = "systemctl show -P ActiveState terminald-activate.service"


class Machine:
    """A root in which dpkg installs, with commands around it that only say that they were called."""

    def __init__(self, directory: Path) -> None:
        self.root, self.calls = directory / "root", directory / "calls"
        stubs = directory / "bin"
        for path in (stubs, self.root / "var/lib/dpkg/info", self.root / "var/lib/dpkg/updates"):
            path.mkdir(parents=True)
        (self.root / "run/systemd/system").mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        for name in COMMANDS:
            (stubs / name).write_text(STUB)
            (stubs / name).chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}", "CALLS": str(self.calls)}

    def dpkg(self, *argv: str | Path, code: int = 0) -> tuple[list[str], str]:
        """Run dpkg, which gets no answer to any question; return what it called, and what it said."""
        self.calls.write_text("")
        done = subprocess.run(
            [DPKG, f"--root={self.root}", "--force-script-chrootless", "--force-depends", *argv],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return self.calls.read_text().splitlines(), done.stderr

    def drained(self, code: int) -> None:
        (self.calls.parent / "calls.drained").write_text(str(code))

    def activates(self, *states: str) -> None:
        """Let the activation's unit be in these states, one after the other."""
        (self.calls.parent / "calls.states").write_text("".join(f"{state}\n" for state in states))

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if os.geteuid() != 0:
        pytest.skip("dpkg gives files to root")
    return Machine(tmp_path)


@needs_dpkg
def test_an_installation_makes_the_users_and_starts(machine: Machine, package: Path) -> None:
    calls, _ = machine.dpkg("--install", package)
    assert calls[0] == f"systemd-sysusers --root={machine.root} terminald.conf"
    assert "deb-systemd-helper enable terminald.socket" in calls
    assert "deb-systemd-helper enable terminald.service" in calls
    assert calls[-2:] == ["systemctl --system daemon-reload", START]
    assert DRAIN not in calls
    assert (machine.root / CONFIG).read_text() == (ROOT / "config/terminald.toml").read_text()
    assert (machine.root / CONFIG).stat().st_mode & 0o777 == 0o644


@needs_dpkg
def test_in_an_image_that_is_being_made_nothing_is_started(machine: Machine, package: Path) -> None:
    (machine.root / "run/systemd/system").rmdir()
    calls, _ = machine.dpkg("--install", package)
    assert not [call for call in calls if call.startswith(("systemctl", "deb-systemd-invoke", "udevadm"))]
    assert "deb-systemd-helper enable terminald.service" in calls


@needs_dpkg
def test_an_upgrade_drains_then_stops_and_keeps_the_configuration(machine: Machine, package: Path) -> None:
    machine.dpkg("--install", package)
    changed = machine.write(CONFIG, '[terminal]\nname = "mine"\n')
    calls, _ = machine.dpkg("--install", package)
    assert [call for call in calls if call in (DRAIN, STOP, START)] == [DRAIN, STOP, START]
    assert changed.read_text() == '[terminal]\nname = "mine"\n'


@needs_dpkg
@pytest.mark.parametrize("code", [2, 3])
def test_a_drain_that_does_not_succeed_or_is_not_known_holds_nothing_up(
    machine: Machine, package: Path, code: int
) -> None:
    machine.dpkg("--install", package)
    machine.drained(code)
    calls, _ = machine.dpkg("--install", package)
    assert [call for call in calls if call in (DRAIN, STOP, START)] == [DRAIN, STOP, START]


@needs_dpkg
def test_an_upgrade_waits_for_an_activation_and_says_so(machine: Machine, package: Path) -> None:
    """The daemon's start would stop it, amid the use of a code that works once."""
    machine.dpkg("--install", package)
    machine.activates("activating", "activating", "deactivating", "inactive")
    calls, said = machine.dpkg("--install", package)
    awaited = [ACTIVATING, "sleep 2"] * 3
    assert calls[:9] == [*awaited, ACTIVATING, "systemctl --quiet is-active terminald.service", DRAIN]
    assert said.count("waiting for the activation that is under way") == 1
    assert "has not ended" not in said


@needs_dpkg
def test_an_activation_that_never_ends_does_not_hold_an_upgrade_up_for_ever(machine: Machine, package: Path) -> None:
    machine.dpkg("--install", package)
    machine.activates(*["activating"] * 500)
    calls, said = machine.dpkg("--install", package)
    assert calls.count("sleep 2") == 6 * 60 / 2
    assert "terminald-activate.service has not ended; going on" in said
    assert [call for call in calls if call in (DRAIN, STOP, START)] == [DRAIN, STOP, START]


@needs_dpkg
def test_a_removal_keeps_state_and_configuration(machine: Machine, package: Path) -> None:
    machine.dpkg("--install", package)
    journal = machine.write(f"{STATE}/journal.db", "sales")
    calls, _ = machine.dpkg("--remove", "terminald")
    assert calls[:4] == [ACTIVATING, "systemctl --quiet is-active terminald.service", DRAIN, STOP]
    assert not (machine.root / "opt/terminald").exists()
    assert (journal.read_text(), (machine.root / CONFIG).is_file()) == ("sales", True)


@needs_dpkg
def test_a_purge_keeps_the_journal_and_says_so(machine: Machine, package: Path) -> None:
    machine.dpkg("--install", package)
    journal = machine.write(f"{STATE}/journal.db", "sales")
    calls, said = machine.dpkg("--purge", "terminald")
    assert "deb-systemd-helper purge terminald.socket terminald.service" in calls
    assert journal.read_text() == "sales"
    assert f"{machine.root}/{STATE} is kept" in said
    assert not (machine.root / "etc/terminald").exists()


@needs_dpkg
def test_a_purge_that_was_told_so_removes_the_journal(machine: Machine, package: Path) -> None:
    machine.dpkg("--install", package)
    machine.write(f"{STATE}/journal.db", "sales")
    machine.write("etc/terminald/purge-journal")
    machine.dpkg("--purge", "terminald")
    assert not (machine.root / STATE).exists()
    assert not (machine.root / "etc/terminald").exists()


@needs_dpkg
def test_it_is_not_mixed_with_a_source_tree(machine: Machine, package: Path) -> None:
    machine.write("opt/terminald/Makefile")
    _, said = machine.dpkg("--install", package, code=1)
    assert "holds a source tree" in said
    assert not (machine.root / PROGRAM).exists()


@needs_dpkg
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_for_every_shell(script: str) -> None:
    assert (RECIPE / script).read_text().startswith("#!/bin/sh\nset -e\n")
    subprocess.run([shutil.which("dash") or "/bin/sh", "-n", RECIPE / script], check=True)
