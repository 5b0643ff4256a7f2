"""The token of the loopback port: where it comes from, and what is none."""

import os
from pathlib import Path

import pytest

from terminald.config import Config, load
from terminald.config_token import read_api_token
from terminald.core.ids import Secret
from terminald.errors import ConfigError

TOKEN = "0123456789abcdef0123456789ABCDEF"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o640)
    return path


def config(tmp_path: Path, file: Path | str, listen: str = "127.0.0.1:8765") -> Config:
    path = tmp_path / "t.toml"
    path.write_text(f'[api]\nlisten = "{listen}"\ntoken_file = "{file}"\n')
    return load(path)


def fault(tmp_path: Path, file: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_api_token(config(tmp_path, file))
    (found,) = caught.value.faults
    return found.removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n", f"{TOKEN}\r\n", "a-b._~+/" * 32, f"{TOKEN}=="])
def test_one_line_is_the_token(text: str, file: Path, tmp_path: Path) -> None:
    file.write_text(text)
    assert read_api_token(config(tmp_path, file)) == Secret(text.rstrip("\r\n"))


def test_without_a_port_the_file_is_not_looked_at(tmp_path: Path) -> None:
    assert read_api_token(config(tmp_path, "/nowhere/token", listen="")) is None
    assert read_api_token(Config()) is None


@pytest.mark.parametrize(
    "text",
    ["", "\n", TOKEN[1:], "x" * 257, f"{TOKEN}\n\n", f" {TOKEN}", f"{TOKEN}\n{TOKEN}\n", f"{TOKEN}é", f"{TOKEN}\0"],
)
def test_what_is_no_token_is_a_fault_and_not_shown(text: str, file: Path, tmp_path: Path) -> None:
    """I7."""
    file.write_text(text)
    found = fault(tmp_path, file)
    assert found.startswith(f"t.toml:3: api.token_file: {file} holds no token; allowed: one line of 32 to 256 letters")
    assert TOKEN[1:] not in found


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert "can not be read: No such file or directory" in fault(tmp_path, tmp_path / "none")


def test_a_directory_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert "is not a file" in fault(tmp_path, pipe)
    directory = tmp_path / "d"
    directory.mkdir(0o700)
    assert "is not a file" in fault(tmp_path, directory)


def test_a_file_that_was_opened_to_all_since_the_configuration_was_read_is_a_fault(file: Path, tmp_path: Path) -> None:
    right = config(tmp_path, file)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"open to every user \(mode 0644\); run: chmod o= "):
        read_api_token(right)
