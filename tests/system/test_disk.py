"""Real disks that are full, read-only, or gone, under the real daemon."""

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.rig import Bench, bench

GOOD, WAITS_FOR_CUSTOMER = "130000000000000099", "130000000000000212"

pytestmark = pytest.mark.system


def tool(name: str) -> str:
    """Return where a program is; skip the test where it is not."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"no {name} here")
    return found


def _mounted(arguments: list[str], place: Path) -> bool:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    done = subprocess.run([tool("mount"), *arguments, str(place)], check=False, capture_output=True)
    return done.returncode == 0


@contextlib.contextmanager
def mounted(arguments: list[str], place: Path) -> Iterator[None]:
    """Mount a filesystem for the length of a test; skip the test where that is not allowed."""
    if not _mounted(arguments, place):
        pytest.skip("mounting is not possible here")
    try:
        yield
    finally:
        subprocess.run([tool("umount"), "--lazy", str(place)], check=True)


def reasons(terminal: Bench) -> list[str]:
    found = terminal.status().get("reasons")
    return found if isinstance(found, list) else []


def test_on_a_full_disk_the_payment_is_recorded_as_soon_as_there_is_room(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with mounted(["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"], state), bench(tmp_path) as terminal:
        terminal.configure(poll_window='"40s"')
        terminal.start()
        terminal.wait_ready()
        terminal.open_sale("order-1")
        terminal.scanner.scan(WAITS_FOR_CUSTOMER)
        sale = terminal.wait_state("order-1", "processing")
        with contextlib.suppress(OSError), (state / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        terminal.pay(sale)
        terminal.wait(lambda: {"journal_failed", "disk_full"} <= set(reasons(terminal)), "said so")
        assert terminal.open_sale("order-2").status_code == 503
        assert terminal.sale("order-1").state == "processing", "what is not on disk is told to nobody"
        assert terminal.terminald("health").returncode == 3
        (state / "filler").unlink()
        terminal.wait_state("order-1", "completed")
        terminal.wait_ready()
        assert terminal.terminald("health").returncode == 0
        assert terminal.is_alive()
        assert terminal.books().kept == 350


def test_errors_of_the_disk_stop_sales_and_their_end_begins_them_again(terminal: Bench) -> None:
    """A limit of the kernel lets every write into the log fail (EFBIG), as a dying card would."""
    terminal.start()
    terminal.wait_ready()
    assert terminal.daemon is not None
    pid = terminal.daemon.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, before[1]))
    assert terminal.open_sale("order-1").status_code == 503
    terminal.wait(lambda: "journal_failed" in reasons(terminal), "said so")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    terminal.wait_ready()
    terminal.open_sale("order-2")
    terminal.scanner.scan(GOOD)
    terminal.wait_state("order-2", "completed")


def test_a_filesystem_that_the_kernel_remounts_read_only_stops_sales(tmp_path: Path) -> None:
    image, state = tmp_path / "card.img", tmp_path / "state"
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    if subprocess.run([tool("mkfs.ext4"), "-q", "-F", str(image)], check=False, capture_output=True).returncode != 0:
        pytest.skip("no ext4 can be made here")
    with mounted(["-o", "loop,errors=remount-ro", str(image)], state):
        (state / "lost+found").rmdir()
        state.chmod(0o700)
        device = subprocess.run(
            [tool("findmnt"), "-n", "-o", "SOURCE", str(state)], check=True, capture_output=True, text=True
        ).stdout.strip()
        trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
        if not trigger.exists():
            pytest.skip("this kernel makes no errors on request")
        with bench(tmp_path) as terminal:
            terminal.start()
            terminal.wait_ready()
            terminal.open_sale("order-1")
            terminal.scanner.scan(GOOD)
            terminal.wait_state("order-1", "completed")
            trigger.write_text("a test")
            assert terminal.open_sale("order-2").status_code == 503
            terminal.wait(lambda: "journal_failed" in reasons(terminal), "said so")
            assert terminal.sale("order-1").state == "completed", "what is on record can be read"
            assert terminal.terminald("health").returncode == 3
            assert terminal.is_alive()
            assert terminal.books().kept == 350


def test_a_directory_that_is_taken_away_is_noticed_and_taken_up_again(terminal: Bench) -> None:
    state, elsewhere = terminal.directory / "state", terminal.directory / "elsewhere"
    terminal.start()
    terminal.wait_ready()
    state.rename(elsewhere)
    assert terminal.open_sale("order-1").status_code == 503
    terminal.wait(lambda: "journal_failed" in reasons(terminal), "said so")
    state.mkdir(mode=0o700)
    (state / "journal.db").write_bytes((elsewhere / "journal.db").read_bytes())
    assert terminal.open_sale("order-1").status_code == 503, "a copy in its place is another file"
    (state / "journal.db").unlink()
    state.rmdir()
    elsewhere.rename(state)
    terminal.wait_ready()
    assert terminal.open_sale("order-1").status_code == 201


def test_a_directory_that_was_moved_for_good_is_used_where_it_is(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    terminal.open_sale("order-1")
    terminal.scanner.scan(GOOD)
    terminal.wait_state("order-1", "completed")
    assert terminal.stop() == 0
    (terminal.directory / "state").rename(terminal.directory / "new")
    text = terminal.config.read_text().replace(f"{terminal.directory}/state", f"{terminal.directory}/new")
    terminal.config.write_text(text)
    terminal.start()
    terminal.wait_ready()
    assert terminal.sale("order-1").state == "completed"
    assert terminal.open_sale("order-1").status_code == 200


def test_the_status_tells_of_the_disk(terminal: Bench) -> None:
    terminal.start()
    terminal.wait_ready()
    disk = terminal.status()["disk"]
    assert isinstance(disk, dict)
    assert (disk["free_mb"] > 0, disk["commit_p99_ms"], disk["copied_at"], disk["attention"]) == (
        True, None, None, None
    )  # fmt: skip
    assert "MB free" in terminal.terminald("status").stdout
