"""What ``terminald doctor`` says of a fleet's broker: nothing that keeps a terminal from selling."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from terminald.adapters.journal_copy import make_copy
from terminald.cli.doctor_findings import Finding, Verdict
from terminald.cli.doctor_fleet import check_fleet
from terminald.config import Config, load
from tests.adapters.broker import PASSWORD, USERNAME, Broker, make_certificates
from tests.cli.terminal_files import journal_file, journal_of, write_config
from tests.core.machine_builders import NOON


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    make_certificates(tmp_path)
    made = Broker(tmp_path, tmp_path)
    made.start()
    yield made
    made.stop()


def configured(directory: Path, more: str) -> Config:
    path = write_config(directory, "http://127.0.0.1:1")
    path.write_text(path.read_text() + more)
    return load(path)


def found(directory: Path, port: int, *, password: str = PASSWORD, ca: str = "ca.pem") -> Finding:
    (directory / "password").write_text(password)
    (directory / "password").chmod(0o600)
    text = (
        f'[mqtt]\nurl = "mqtts://127.0.0.1:{port}"\nname = "lobby-1"\nca_file = "{directory}/{ca}"\n'
        f'username = "{USERNAME}"\npassword_file = "{directory}/password"\n'
    )
    (finding,) = check_fleet(configured(directory, text), None)
    assert password not in str(finding)
    return finding


def test_where_no_broker_is_meant_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert list(check_fleet(configured(tmp_path, ""), None)) == []


def test_a_broker_is_tried_without_a_word_that_stays(broker: Broker, tmp_path: Path) -> None:
    fine = found(tmp_path, broker.port)
    assert (fine.verdict, fine.check) == (Verdict.OK, "mqtt")
    assert fine.what.endswith("lets this terminal in; its topics are terminald/lobby-1/#")
    log = broker.log.read_text()
    assert "as terminald-lobby-1-doctor" in log, "beside the daemon, whose place it does not take"
    assert "PUBLISH" not in log
    assert "No will message specified" in log


def test_what_is_in_the_way_is_named_with_what_to_do(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = found(tmp_path, broker.port, password="wrong-wrong")
    assert (refused.verdict, "mqtt.username" in refused.advice) == (Verdict.WARN, True)
    stranger = found(tmp_path, broker.port, ca="other-ca.pem")
    assert (stranger.verdict, "mqtt.ca_file" in stranger.advice) == (Verdict.WARN, True)
    nobody = found(tmp_path, 1)
    assert (nobody.verdict, "mqtt.url" in nobody.advice) == (Verdict.WARN, True)
    unreadable = found(tmp_path, broker.port, password="two words")
    assert (unreadable.verdict, "is not a password" in unreadable.what) == (Verdict.WARN, True)
    broken = found(tmp_path, broker.port, ca="password")
    assert "can not be read as certificates" in broken.what
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    missing = found(tmp_path, broker.port)
    assert (missing.verdict, "the package aiomqtt is missing" in missing.what) == (Verdict.WARN, True)


def test_topics_are_named_by_the_copy_where_the_journal_can_not_be_read(broker: Broker, tmp_path: Path) -> None:
    found(tmp_path, broker.port)
    config_file = tmp_path / "terminald.toml"
    text = config_file.read_text().replace('\nname = "lobby-1"\n', "\n")
    config_file.write_text(text.replace('device_id = "device-1"', 'device_id = "auto"'))
    with closing(journal_of(config_file)) as journal:
        journal.put_board({}, device_id="device-7")
    assert make_copy(journal_file(config_file), NOON, spare=0, is_wanted=lambda: True)
    journal_file(config_file).write_bytes(b"no journal any more")
    (named,) = check_fleet(load(config_file), None)
    assert named.what.endswith("its topics are terminald/device-7/#")
