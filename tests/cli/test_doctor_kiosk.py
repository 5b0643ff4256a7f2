"""What ``terminald doctor`` says of a kiosk's action. There is no GPIO chip where the tests run."""

from pathlib import Path

from terminald.cli.doctor_findings import Verdict
from terminald.cli.doctor_kiosk import check_kiosk
from terminald.config import Config, load
from tests.cli.terminal_files import write_config

FIXED = '[kiosk]\nmode = "fixed"\n'


def configured(directory: Path, more: str) -> Config:
    path = write_config(directory, "http://127.0.0.1:1")
    path.write_text(path.read_text() + more)
    return load(path)


def test_of_a_kiosk_that_is_off_or_does_nothing_there_is_nothing_to_say(tmp_path: Path) -> None:
    for text in ("", FIXED):
        assert list(check_kiosk(configured(tmp_path, text))) == []


def test_a_command_that_can_not_be_run_fails(tmp_path: Path) -> None:
    text = f'{FIXED}action = "command"\n[kiosk.command]\nargv = ["/bin/true", "x"]\n'
    (fine,) = check_kiosk(configured(tmp_path, text))
    assert (fine.verdict, fine.what.startswith("/bin/true can be run")) == (Verdict.OK, True)
    (bad,) = check_kiosk(configured(tmp_path, text.replace("/bin/true", "/no/such")))
    assert (bad.verdict, bad.what) == (Verdict.FAIL, "/no/such is not there, or can not be run")


def test_lines_that_are_not_there_fail_with_what_to_do(tmp_path: Path) -> None:
    text = f'{FIXED}action = "gpio"\n[kiosk.gpio]\nchip = "no-such-chip"\nline = "GPIO17"\n'
    (bad,) = check_kiosk(configured(tmp_path, text))
    assert (bad.verdict, bad.check) == (Verdict.FAIL, "kiosk")
    assert bad.what == "no-such-chip: no GPIO chip has the label or name no-such-chip"
    assert bad.advice.startswith("gpiodetect lists them")
    (gone,) = check_kiosk(configured(tmp_path, text.replace("no-such-chip", "/dev/gpiochip77")))
    assert (gone.verdict, gone.what) == (Verdict.FAIL, "/dev/gpiochip77: No such file or directory")
