"""``terminald restore`` where there is nothing to restore from: what it advises leads to a terminal that works."""

from contextlib import closing
from pathlib import Path

import pytest

from terminald.__main__ import main
from tests.cli.terminal_files import journal_file, journal_of, write_config


def test_without_a_copy_it_says_what_to_move_away_and_that_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:9")
    journal_of(config).close()
    # As the daemon leaves it where SQLite has found the damage.
    journal_file(config).with_name("journal-damaged").write_text("found in use")
    assert main(["restore", "--config", str(config)]) == 1
    said = capsys.readouterr().err
    assert "There is no copy of it" in said
    assert "move the files journal* away" in said
    for file in journal_file(config).parent.glob("journal*"):
        file.rename(tmp_path / file.name)
    with closing(journal_of(config)) as journal:
        assert journal.load_terminal() is None
