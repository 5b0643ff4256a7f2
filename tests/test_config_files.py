"""Files that are none: a pipe in the place of a configuration or of a secret holds nobody up."""

import os
from pathlib import Path

import pytest

from terminald.config import load
from terminald.config_files import read_file
from terminald.config_rules import NotAllowed
from terminald.config_secrets import read_secret
from terminald.errors import ConfigError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Whoever opens it for reading in the usual way waits for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    return path


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert read_file(path, 70_000) == b"x" * 70_000
    path.write_bytes(b"")
    assert read_file(path, 1) == b""


def test_a_configuration_that_is_a_pipe_is_refused_at_once(pipe: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: it is a pipe or a device, not a file"):
        load(pipe)
    with pytest.raises(ConfigError, match="not a file"):
        load(Path("/dev/zero"))


@pytest.mark.parametrize("key", ["password_file", "key_file"])
def test_a_secret_that_is_a_pipe_is_a_fault(key: str, pipe: Path, tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text(f'[mqtt]\nusername = "u"\ncertificate_file = "/etc/hostname"\n{key} = "{pipe}"\n')
    with pytest.raises(ConfigError, match=rf":4: mqtt\.{key}: .* is not a file"):
        load(tmp_path / "t.toml")


def test_one_that_has_become_a_pipe_since_holds_nobody_up_either(pipe: Path) -> None:
    with pytest.raises(NotAllowed, match="cannot be read: it is a pipe"):
        read_secret(pipe, "a password")
