"""The udev rules, the examples in them included, are ones that udev reads."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parent.parent / "systemd" / "65-terminald.rules"
KEYS = {
    *("ACTION", "SUBSYSTEM", "KERNEL", "KERNELS", "ENV{DEVTYPE}", "ENV{ID_USB_INTERFACES}"),
    *("ATTR{idVendor}", "ATTR{idProduct}", "ATTRS{idVendor}", "ATTRS{idProduct}", "ATTRS{serial}"),
}
SETS = {
    *("GROUP", "MODE", "GOTO", "ENV{ID_MM_DEVICE_IGNORE}", "ENV{ID_MM_PORT_IGNORE}"),
    *("ENV{LIBINPUT_IGNORE_DEVICE}", "ENV{ID_INPUT_KEY}"),
}
PART = re.compile(r'([A-Z]+(?:\{\w+\})?)(==|\+=|=)"([^"]*)"')
EXAMPLE = re.compile(r"^#(?=[A-Z]+(\{\w+\})?==)", re.MULTILINE)
VERIFIES = 254  # systemd's version that brought "udevadm verify"


def rules() -> list[list[tuple[str, str, str]]]:
    """Return the parts of each rule, of those too that are examples."""
    text = EXAMPLE.sub("", RULES.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = []
    for line in lines:
        parts = [PART.fullmatch(part) for part in re.split(r", (?=[A-Z])", line)]
        assert all(parts), line
        found.append([(part[1], part[2], part[3]) for part in parts if part])
    return found


def test_each_rule_says_which_device_and_then_what_it_gets() -> None:
    *found, label = rules()
    assert label == [("LABEL", "=", "terminald_end")]
    assert len(found) > 12
    for rule in found:
        matches = [key for key, operator, _ in rule if operator == "=="]
        assert set(matches) <= KEYS
        assert {key for key, operator, _ in rule if operator == "="} <= SETS
        assert {key for key, operator, _ in rule if operator == "+="} <= {"SYMLINK"}
        assert len(matches) < len(rule)
        assert [key for key, _, _ in rule[: len(matches)]] == matches


def test_devices_are_given_to_groups_of_the_service_and_to_nobody_else() -> None:
    members = {"terminald", "dialout", "lp"}
    for rule in rules():
        given = {key: value for key, operator, value in rule if operator == "="}
        assert given.get("GROUP", "terminald") in members
        assert given.get("MODE", "0660") == "0660"
        assert all(value.startswith("terminald/") for key, _, value in rule if key == "SYMLINK")


def test_a_keyboard_scanner_is_no_switch_for_the_machine() -> None:
    """logind acts on the power key of whatever 70-power-switch.rules tags, by a word that 60-input-id.rules has set."""
    keyboards = [rule for rule in rules() if ("SUBSYSTEM", "==", "input") in rule]
    assert len(keyboards) == 2
    for rule in keyboards:
        assert ("ENV{ID_INPUT_KEY}", "=", "") in rule
        assert ("KERNEL", "==", "event*") in rule
    assert "60-input-id.rules" < RULES.name < "70-power-switch.rules"
    readme = (RULES.parent.parent / "README.md").read_text()
    assert 'ENV{LIBINPUT_IGNORE_DEVICE}="1", ENV{ID_INPUT_KEY}=""' in readme


def verifier() -> str | None:
    udevadm = shutil.which("udevadm")
    if udevadm is None:
        return None
    version = subprocess.run([udevadm, "--version"], capture_output=True, text=True, check=False).stdout
    return udevadm if version.split(".")[0].strip().isdecimal() and int(version.split(".")[0]) >= VERIFIES else None


@pytest.mark.skipif(verifier() is None, reason=f"udevadm of systemd {VERIFIES} or later is not installed")
def test_udev_finds_no_fault_in_them(tmp_path: Path) -> None:
    udevadm = verifier()
    assert udevadm is not None
    whole = tmp_path / RULES.name
    whole.write_text(EXAMPLE.sub("", RULES.read_text()))
    for path in (RULES, whole):
        done = subprocess.run(
            [udevadm, "verify", "--resolve-names=never", "--no-style", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
