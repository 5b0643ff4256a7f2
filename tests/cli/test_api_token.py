"""``terminald token``: a new token in one piece, for those who may read it, and shown to nobody."""

import grp
import os
import stat
from pathlib import Path

import pytest

from terminald.__main__ import main
from terminald.config import load
from terminald.config_token import MIN_TOKEN, read_api_token

Capture = pytest.CaptureFixture[str]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def configure(directory: Path, keys: str) -> Path:
    path = directory / "terminald.toml"
    path.write_text(f'[state]\ndirectory = "{directory}/state"\n[api]\n{keys}\n')
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configure(tmp_path, f'listen = "127.0.0.1:8765"\ntoken_file = "{tmp_path}/token"')


def make(config: Path, *arguments: str) -> int:
    return main(["--config", str(config), "token", *arguments])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_each_token_is_a_new_one_that_the_daemon_takes_and_nobody_is_shown(
    config: Path, tmp_path: Path, capsys: Capture
) -> None:
    """I7."""
    found = set()
    for _ in range(3):
        assert make(config) == 0
        token = read_api_token(load(config))
        assert token is not None
        assert len(token.reveal()) > MIN_TOKEN
        found.add(token.reveal())
        said = capsys.readouterr()
        assert "systemctl reload terminald" in said.out
        assert token.reveal() not in said.out + said.err
    assert len(found) == 3
    assert mode(tmp_path / "token") == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["terminald.toml", "token"]


def test_a_group_may_read_it_and_goes_on_to(config: Path, tmp_path: Path, capsys: Capture) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    assert make(config, "--group", group) == 0
    assert f"group {group}, mode 0640" in capsys.readouterr().out
    first = (tmp_path / "token").read_text()
    assert make(config) == 0
    assert (tmp_path / "token").read_text() != first
    assert mode(tmp_path / "token") == 0o640
    assert (tmp_path / "token").stat().st_gid == os.getegid()


@as_root
def test_a_new_one_is_the_services_and_another_keeps_its_owner(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 1234, 1234)
    assert make(config, "--group", grp.getgrgid(1).gr_name) == 0
    found = (tmp_path / "token").stat()
    assert (found.st_uid, found.st_gid) == (1234, 1)
    os.chown(tmp_path / "token", 4321, 2)
    assert make(config) == 0
    found = (tmp_path / "token").stat()
    assert (found.st_uid, found.st_gid, mode(tmp_path / "token")) == (4321, 2, 0o640)


def test_who_reads_the_old_one_goes_on_reading_it(config: Path, tmp_path: Path) -> None:
    assert make(config) == 0
    with (tmp_path / "token").open() as reader:
        assert make(config) == 0
        assert reader.read() != (tmp_path / "token").read_text()


@pytest.mark.parametrize("text", ["", "\n", "weak\n", "x" * MIN_TOKEN])
def test_a_token_of_any_kind_and_an_empty_file_are_replaced(config: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(0o600)
    assert make(config) == 0
    assert read_api_token(load(config)) is not None


@pytest.mark.parametrize("text", ["SQLite format 3\0", "root:*:20000:0\nterminald:!:20000::\n", "x" * 300, "two words"])
def test_a_slip_in_the_path_costs_no_other_file(config: Path, tmp_path: Path, text: str, capsys: Capture) -> None:
    """As root it would be the journal, or /etc/shadow."""
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(0o600)
    assert make(config) == 1
    assert "holds something else than a token; nothing was changed" in capsys.readouterr().err
    assert (tmp_path / "token").read_text() == text


@pytest.mark.parametrize("keys", ['[vendor]\nkey_file = "{}"', '[mqtt]\nusername = "u"\npassword_file = "{}"'])
def test_a_slip_in_the_path_costs_no_other_secret(tmp_path: Path, keys: str, capsys: Capture) -> None:
    """A vendor key has the form of a token."""
    (tmp_path / "secret").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    config = configure(tmp_path, f'token_file = "{tmp_path}/link"\n{keys.format(tmp_path / "secret")}')
    assert make(config) == 1
    assert "holds something else than a token; nothing was changed" in capsys.readouterr().err
    assert (tmp_path / "secret").read_text() == "0123456789abcdef0123456789abcdef\n"


def test_without_a_place_there_is_nothing_to_make(tmp_path: Path, capsys: Capture) -> None:
    assert make(configure(tmp_path, "")) == 78
    assert "terminald.toml:3: api.token_file: is empty; allowed: where the token is to be" in capsys.readouterr().err


def test_without_a_port_it_says_that_nobody_can_call(tmp_path: Path, capsys: Capture) -> None:
    assert make(configure(tmp_path, f'token_file = "{tmp_path}/token"')) == 0
    assert "set api.listen" in capsys.readouterr().out


def test_a_place_that_can_not_be_written_and_a_group_that_is_not_there_are_named(
    config: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert make(config, "--group", "no-such-group-here") == 1
    assert "there is no group no-such-group-here" in capsys.readouterr().err
    assert make(configure(tmp_path, f'token_file = "{tmp_path}/none/token"')) == 1
    assert f"no token can be written to {tmp_path}/none/token: No such file or directory" in capsys.readouterr().err
    (tmp_path / "token").mkdir(mode=0o700)
    assert make(configure(tmp_path, f'token_file = "{tmp_path}/token"')) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["terminald.toml", "token"]
