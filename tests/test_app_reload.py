"""What a reload takes over, and what it keeps."""

from dataclasses import replace
from pathlib import Path

import pytest

from terminald.app_reload import changed_devices, merged
from terminald.config import ApiConfig, CheckinConfig, Config, load
from terminald.config_rules import Address

TEXT = """\
[terminal]
name = "lobby-1"
[sale]
max_amount = 500
[[scanner]]
name = "front"
device = "/dev/ttyACM0"
[[scanner]]
name = "back"
device = "/dev/ttyACM1"
[printer]
driver = "file"
device = "/tmp/receipts.bin"
"""


def config(tmp_path: Path, before: str = "", after: str = "") -> Config:
    file = tmp_path / "t.toml"
    assert before in TEXT
    file.write_text(TEXT.replace(before, after) if before else TEXT)
    return load(file)


def test_what_is_taken_over_and_what_is_kept_make_one_configuration(tmp_path: Path) -> None:
    old = config(tmp_path)
    found, late = merged(old, config(tmp_path, 'name = "lobby-1"\n[sale]\nmax_amount = 500', 'name = "x"\n[sale]'))
    assert found.terminal == old.terminal
    assert found.sale.max_amount == Config().sale.max_amount
    assert late == ("terminal.name",)


def test_an_unchanged_file_needs_nothing(tmp_path: Path) -> None:
    old = config(tmp_path)
    assert merged(old, config(tmp_path)) == (old, ())
    assert not changed_devices(old, config(tmp_path))


def test_the_upload_of_logs_is_begun_and_ended_by_a_restart() -> None:
    found, late = merged(Config(), replace(Config(), checkin=replace(CheckinConfig(), upload_log=False)))
    assert found.checkin.upload_log
    assert late == ("checkin.upload_log",)


def test_who_may_call_over_tcp_is_taken_over_and_where_is_kept() -> None:
    listen = Address(host="127.0.0.1", port=8765)
    api = replace(ApiConfig(), listen=listen, token_file=Path("/a"), allowed_origins=("http://a",))
    old = replace(Config(), api=api)
    other = replace(api, token_file=Path("/b"), allowed_origins=("http://b",))
    assert merged(old, replace(Config(), api=other)) == (replace(Config(), api=other), ())
    found, late = merged(old, replace(Config(), api=replace(other, socket=Path("/c"))))
    assert found.api == other
    assert late == ("api.socket",)


def test_a_port_that_is_closed_or_opened_keeps_its_rules_until_a_restart() -> None:
    """Without a token the port that is still open would let nobody in, or anybody."""
    listen = Address(host="127.0.0.1", port=8765)
    old = replace(Config(), api=replace(ApiConfig(), listen=listen, token_file=Path("/a")))
    found, late = merged(old, Config())
    assert found.api == old.api
    assert late == ("api.listen", "api.token_file")
    found, late = merged(Config(), old)
    assert found.api == ApiConfig()
    assert late == ("api.listen", "api.token_file")


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ('"/dev/ttyACM0"', '"/dev/ttyACM7"', {"front"}),
        ('"/dev/ttyACM1"', '"/dev/ttyACM1"\nbaudrate = 115200', {"back"}),
        ('name = "back"', 'name = "side"', {"back"}),
        ("receipts.bin", "other.bin", {"printer"}),
        ('driver = "file"', 'driver = "file"\njob_lifetime = "5m"', set()),
        ('name = "lobby-1"', 'name = "lobby-2"', set()),
    ],
)
def test_only_what_is_configured_otherwise_is_closed(before: str, after: str, gone: set[str], tmp_path: Path) -> None:
    """I8: a reload is no reason for a scanner to be away."""
    assert changed_devices(config(tmp_path), config(tmp_path, before, after)) == gone
