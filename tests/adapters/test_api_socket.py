import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from terminald.adapters.api_socket import bound
from terminald.errors import ConfigError, TerminaldError
from tests.adapters.api_desk import settings


def can_connect(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def leave_behind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def test_the_socket_listens_with_the_configured_mode_and_is_removed_at_the_end(tmp_path: Path) -> None:
    with bound(settings(tmp_path, socket_mode=0o620)) as sock:
        path = Path(sock.getsockname())
        assert stat.S_IMODE(path.stat().st_mode) == 0o620
        assert can_connect(path)
    assert not path.exists()


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    with bound(settings(tmp_path / "run" / "terminald")) as sock:
        assert can_connect(Path(sock.getsockname()))


def test_the_group_is_given(tmp_path: Path) -> None:
    name = grp.getgrgid(os.getegid()).gr_name
    with bound(settings(tmp_path, socket_group=name)) as sock:
        assert Path(sock.getsockname()).stat().st_gid == os.getegid()


def test_what_a_dead_process_left_behind_is_replaced(tmp_path: Path) -> None:
    leave_behind(tmp_path / "api.sock")
    with bound(settings(tmp_path)) as sock:
        assert can_connect(Path(sock.getsockname()))


def test_a_socket_that_somebody_answers_on_is_left_alone(tmp_path: Path) -> None:
    with bound(settings(tmp_path)) as sock:
        with pytest.raises(TerminaldError, match="another process answers"), bound(settings(tmp_path)):
            pass
        assert can_connect(Path(sock.getsockname()))


def test_a_busy_listener_counts_as_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(TerminaldError, match="another process answers"), bound(settings(tmp_path)):
            pass


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "api.sock").write_text("precious")
    with pytest.raises(ConfigError, match="is not a socket"), bound(settings(tmp_path)):
        pass
    assert (tmp_path / "api.sock").read_text() == "precious"


def test_a_socket_of_another_kind_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(TerminaldError, match="can not be opened"), bound(settings(tmp_path)):
            pass
        assert path.exists()


def test_an_unknown_group_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="no group nobody-has-this"),
        bound(settings(tmp_path, socket_group="nobody-has-this")),
    ):
        pass


def test_a_directory_that_is_a_file_is_said_to_be_wrong(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match=r"api\.socket"), bound(settings(tmp_path / "run")):
        pass


def test_a_path_that_is_too_long_is_said_to_be_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too long"), bound(settings(tmp_path / ("d" * 120))):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may give a file to any group")
def test_a_group_that_can_not_be_given_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="socket_group"), bound(settings(tmp_path, socket_group="root")):
        pass
    assert not (tmp_path / "api.sock").exists()


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    with bound(settings(tmp_path)) as first:
        path = Path(first.getsockname())
        kept = tmp_path / "old"
        path.rename(kept)
        leave_behind(path)
    assert path.exists()
