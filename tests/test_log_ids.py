"""Each line of the log has an id of its own, which the catalog and the README explain."""

import ast
import logging
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest

from terminald.logs_ids import LogId
from terminald.logs_limit import BURST, WINDOW_S
from tests.write_log_rows import LANGUAGES, catalog, table

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "terminald"
CATALOG = ROOT / "systemd" / "terminald.catalog"
#: What a logger is told by.
TELLING = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"}


@cache
def calls() -> tuple[tuple[str, ast.Call], ...]:
    paths = [path for path in sorted(PACKAGE.rglob("*.py")) if "simulator" not in path.parts and path.name != "logs.py"]
    return tuple(
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    )


def test_nothing_is_logged_without_an_id() -> None:
    found = [
        place
        for place, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in TELLING
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in ("log", "_log", "logger", "logging")
    ]
    assert found == [], "use log_event with a LogId"


def test_every_id_is_used() -> None:
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    unused = [one.name for one in LogId if not re.search(rf"\bLogId\.{one.name}\b", text)]
    assert unused == []


def test_numbers_are_random_and_each_is_one_lines_own() -> None:
    numbers = [one.message_id for one in LogId]
    assert len(set(numbers)) == len(numbers)
    for number in numbers:
        assert re.fullmatch("[0-9a-f]{32}", number)
        assert UUID(number).version == 4


def test_numbers_stay() -> None:
    """Whoever looks for a number finds the same kind of line in every version."""
    assert LogId.SALE_CHANGED.message_id == NUMBERS["sale_changed"]
    assert {name: getattr(LogId, name.upper()).message_id for name in NUMBERS} == NUMBERS


def test_levels_are_those_that_can_be_set() -> None:
    usual = {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL}
    assert {one.level for one in LogId} <= usual


# --- the catalog -----------------------------------------------------------------------------------------------------


def test_the_catalog_explains_every_line_in_both_languages() -> None:
    entries = catalog(CATALOG)
    wanted = [(one.message_id, language) for one in LogId for language in LANGUAGES]
    assert sorted(entries) == sorted(wanted), "one entry for each line and language, and no others"
    for (number, language), entry in entries.items():
        assert all(entry.parts[label] for label in LANGUAGES[language]), (number, language)
        assert list(entry.parts) == list(LANGUAGES[language]), (number, language)
        assert entry.headers["Defined-By"] == "terminald"


def test_the_catalog_calls_each_line_by_its_name() -> None:
    entries = catalog(CATALOG)
    for one in LogId:
        english, chinese = entries[one.message_id, ""], entries[one.message_id, "zh"]
        assert (english.word, english.headers["Subject"]) == (one.word, one.text)
        assert re.search("[\u4e00-\u9fff]", chinese.headers["Subject"]), one.word


def test_the_catalog_speaks_of_lines_that_exist() -> None:
    known = {one.word for one in LogId}
    for entry in catalog(CATALOG).values():
        for part in entry.parts.values():
            named = set(re.findall(r"`([a-z]+_[a-z_]+)`", part))
            assert {word for word in named if word not in known} <= ELSEWHERE, part


#: Words of the README and of the lines themselves that are no ids.
ELSEWHERE = {"to_state", "gateway_unreachable", "clock_unset", "key_locked_out", "disk_full", "returns_open"}


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="there is no journalctl")
def test_journalctl_compiles_the_catalog_and_finds_every_line(tmp_path: Path) -> None:
    place = tmp_path / "usr/lib/systemd/catalog"
    place.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(CATALOG, place)
    done = journalctl("--update-catalog", f"--root={tmp_path}")
    assert done.stderr == "", done.stderr
    shown = journalctl(f"--root={tmp_path}", "--dump-catalog", env={"LC_ALL": "C", "SYSTEMD_COLORS": "0"}).stdout
    for one in LogId:
        assert re.search(rf"^-- {one.message_id}\nSubject: {re.escape(one.text)}$", shown, re.MULTILINE), one.word
    assert shown.count("Defined-By: terminald") == len(LogId)


def journalctl(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("journalctl")
    assert program is not None
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, env=dict(env or {}))


# --- the README ------------------------------------------------------------------------------------------------------


def test_the_readme_says_of_every_line_what_the_catalog_says() -> None:
    rows = table(CATALOG)
    readme = (ROOT / "README.md").read_text()
    missing = [row for row in rows.splitlines() if row not in readme]
    assert rows in readme, "run python -m tests.write_log_rows; these are missing:\n" + "\n".join(missing)


def test_the_limit_of_a_kind_is_what_is_written_of_it() -> None:
    english, chinese = (catalog(CATALOG)[LogId.LINES_SUPPRESSED.message_id, one].parts for one in LANGUAGES)
    assert f"the first {BURST} within {WINDOW_S:.0f} s" in english["Meaning: "]
    assert f"{WINDOW_S:.0f} 秒内的前 {BURST} 行" in chinese["含义："]
    for document in (ROOT / "README.md", PACKAGE / "CHANGELOG.md"):
        assert re.search(rf"{BURST} lines (are written )?in {WINDOW_S:.0f} s", document.read_text())


NUMBERS = {
    "serving": "37a3e24f155545dab4cfc0c65c97ac8d",
    "stopping": "75da4ee5641948e4912584f0d2d819a0",
    "stop_unfinished": "07e5afbc3f2c43cb9e3aad08143c844f",
    "crashed": "5d4b38d5fa214bb4b67ca9a8eed7f2d4",
    "config_reloaded": "3180c3c987e24b38a60e3747870abeda",
    "config_refused": "8948d95857a543f7ba80a319cdc8d8e5",
    "restart_needed": "c2b8083751a4462cba73faaad01eee12",
    "reload_impossible": "e2db2c06539a4da2a54554ed922df323",
    "socket_elsewhere": "6997148abe9e41d28a6a6edd4dbce401",
    "manager_unreached": "8f2dd9e9a88e48a5860783ca47214ac7",
    "board_new": "18d9395cb3b142eeb7cb6c7fdee11ad5",
    "tcp_listening": "aa1b31828d10426dad348bfacd4300d2",
    "address_missing": "f0924fcb721e48b1aa7af7aa20f23573",
    "lines_suppressed": "c4aa5ed61f8849948de8de0288576252",
    "lines_lost": "646213ff09df4313837efcd68e971aee",
    "sale_changed": "982ff390d0934000b165082d20c16ab1",
    "attempt_changed": "1ec3a09c5415483d80ca5699dab52c97",
    "refund_changed": "68d8a9c597e04452a06b8b1354300142",
    "vend_changed": "8f4b6aab3da747a3b17afbee066b7a32",
    "print_changed": "2f63f4067c6640619f24910ffa41fa4f",
    "attention_raised": "fcc1c746495544f6aa7ea8bc2929b06b",
    "attention_closed": "5614be8ebbf24d4facc08b15348e490a",
    "journal_too_new": "7525fd8179ef40608a7c33a414868bac",
    "journal_failed": "1fff69445f434726bad06c39b2a980be",
    "event_not_recorded": "cb1f0e23fa514678b184e055be41066c",
    "input_dropped": "7375ccc62319469bad81531eec0ee8b2",
    "key_changed": "7954dcfcda4943e68b17b82aa8494d5f",
    "key_attention": "a4ace23821704f46b66fc9fd103fa1a8",
    "link_changed": "cd9e85f575aa48828b22e36cd20f49b6",
    "gateway_request": "774c97ac5854446ab69a114ba1886f33",
    "signature_refused": "cad5e445c16a49eea21d2cb9efd2fe4d",
    "clock_set": "a55b5d653eb84506be26027aa627323b",
    "clock_ahead": "d6be28d9b7dc4a318f81d649c4145e42",
    "clock_not_marked": "29f6c5016c2d429e8c2100790764da57",
    "readiness_changed": "013a15687f7742baa11cbffacb801e18",
    "call_failed": "6085ac95c25547f6b7a461c3dfabbcb2",
    "tcp_refused": "7951477e12fc41d58aa3788c94b89b46",
    "call_not_recorded": "a9f89d5fdc9f465ca35898ec23da7c48",
    "stream_ended": "c5eb6a5d1c004c9bad41be45de10ca30",
    "device_ready": "66a78ce1cc6b4a148fdb521b9aad9bde",
    "device_failed": "bf99fa6fba6744f49d9c500189d496c5",
    "devices_polled": "9a0cb0b593ed4ce9a729be5817703016",
    "closing_slow": "1e582e9dde2748968b96880c54a29753",
    "scanner_found": "c781ed6b1c324669b6b17446f136ae35",
    "trigger_untaken": "4f8d002aa6924a2daa1d500e6697f742",
    "scan_dropped": "3b41cc4d9f3240c18caf37f6509d69af",
    "kiosk_changed": "8f981e1d564849bf82afc6e9f6e5287e",
    "barcode_unknown": "d818c1d2877e4e78864df2e310a147c6",
    "sale_not_opened": "6e808f99c9e84055aff12266f6a3c7b1",
    "sale_not_canceled": "8fefcb8d0c614d3ea6865c1ceaa4c126",
    "sale_overtaken": "2f34869cc20444a9b580166bb7956ca9",
    "action_step": "56d5e9b4b2924104bdb0f221bc486edf",
    "action_failed": "22eb59e7caa343a28824975c8c4235e0",
    "action_unknown": "4de75bfb211b452da1b580f45e365bfe",
    "command_stuck": "9ec950c232d84042896f90e81965d913",
    "command_not_ended": "d823b53a2fb84fe884b4f8d956651807",
    "pulse_late": "ea266a797c6d4fa0afbad3985ee759c9",
    "vending_changed": "26f3c047d71b45a79670f80261eb8a93",
    "vend_denied": "637441d47d5d4437af066809b7508d84",
    "vend_approved": "1d0cc228412e46308a1af5990b8cb628",
    "vend_not_approved": "17a00df4c84a4ff58cb052ab0321f4d0",
    "machine_event": "118d3dd1b9304949947c3a16b719da1e",
    "adapter_says": "4bfb43dfeed24ff0a39937af0ae2be1a",
    "log_packed": "e278ffef6a8243fdacf9fcc31953d88c",
    "log_truncated": "ee528e15aa474dfc89783795cd31cc8a",
    "log_discarded": "cc8a2aab623a4eb18a4ca9dbd15bbd9c",
    "log_not_taken": "92dd4f99b80642129f7b1ef9454ae99c",
    "log_uploaded": "570d861181f94fe7aba2374de6a804b2",
    "upload_failed": "66a091eedebc4f7ead6146cdbf2bd468",
    "broker_told": "1fdf24a0a7e64e6481e56cac51da0455",
    "broker_away": "f59acf75590b45b5b1f5e3a47dcad802",
    "broker_none": "9604c51812e64ffdbd3c2838dbce0830",
    "broker_fault": "d5a93f7579564aa79c28fe0860256026",
    "broker_unread": "1d0df6da212d4bb9b91dd74fb19e7c25",
    "broker_unmarked": "ac8be6dfad8540f3947da7cbc38ee930",
}
