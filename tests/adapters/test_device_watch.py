"""The watch over devices' paths, on real directories."""

import asyncio
import contextlib
import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminald.adapters.device_watch import DeviceWatch, Lookout
from terminald.adapters.inotify import READ_LIMIT, Inotify
from tests.log_lines import line

WAIT_S = 20
LOGGER = "terminald.adapters.device_watch"
Change = Callable[[Path], object]


@contextlib.contextmanager
def watching(*paths: Path, start: Callable[[], Inotify] = Inotify) -> Iterator[Lookout]:
    """Watch these paths."""
    with contextlib.closing(DeviceWatch(start=start)) as watch, contextlib.closing(Lookout(watch)) as lookout:
        lookout.arm(paths)
        yield lookout


async def noticed(lookout: Lookout) -> None:
    async with asyncio.timeout(WAIT_S):
        await lookout.changed()


def is_noted(lookout: Lookout) -> bool:
    """Tell whether the lookout would return at once."""
    waiting = lookout.changed()
    try:
        waiting.send(None)
    except StopIteration:
        return True
    waiting.close()
    return False


async def until_read(directory: Path) -> None:
    """Return when everything that has happened in a directory so far was read: this comes after it in the queue."""
    with watching(directory / "bell") as bell:
        (directory / "bell").touch()
        await noticed(bell)


class KeptInotify(Inotify):
    """One whose watches can be counted, and whose reads are measured."""

    made: "list[KeptInotify]" = []  # noqa: RUF012 - a register of the class, emptied by each test

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)
        self.sizes: list[int] = []

    def read(self) -> tuple[list[object], bool]:  # type: ignore[override]  # what is in the list is passed on as it is
        notices, is_all = super().read()
        self.sizes.append(len(notices))
        return list(notices), is_all

    def watched(self) -> int:
        """Count the watches, as the kernel tells."""
        info = Path(f"/proc/self/fdinfo/{self.fd}").read_text()
        return sum(line.startswith("inotify ") for line in info.splitlines())


@pytest.fixture
def kept() -> Iterator[list[KeptInotify]]:
    KeptInotify.made.clear()
    yield KeptInotify.made
    KeptInotify.made.clear()


def replace_link(path: Path) -> None:
    fresh = path.with_name("fresh")
    fresh.symlink_to(path.parent)
    fresh.replace(path)


COMING: dict[str, Change] = {
    "a file is made": lambda path: path.touch(),
    "a link is made": lambda path: path.symlink_to("nowhere"),
    "something is renamed to it": replace_link,
    "a directory is made": lambda path: path.mkdir(),
}
GOING: dict[str, Change] = {
    "it is removed": lambda path: path.unlink(),
    "it is renamed": lambda path: path.rename(path.with_name("other")),
    "its permissions change": lambda path: path.chmod(0o600),
    "its owner is set": lambda path: os.chown(path, os.geteuid(), os.getegid()),
}


@pytest.mark.parametrize("change", COMING.values(), ids=COMING.keys())
def test_what_comes_is_noticed(tmp_path: Path, change: Change) -> None:
    async def scene() -> None:
        with watching(tmp_path / "device") as lookout:
            change(tmp_path / "device")
            await noticed(lookout)

    asyncio.run(scene())


@pytest.mark.parametrize("change", GOING.values(), ids=GOING.keys())
@pytest.mark.parametrize("is_link", [False, True])
def test_what_goes_or_changes_is_noticed_through_a_link_as_well(
    tmp_path: Path, change: Change, *, is_link: bool
) -> None:
    """udev makes the node, then the link, then sets the group of the node."""
    (tmp_path / "nodes").mkdir()
    (tmp_path / "links").mkdir()
    node = tmp_path / "nodes" / "ttyACM0"
    node.touch()
    link = tmp_path / "links" / "by-id"
    link.symlink_to("../nodes/ttyACM0")

    async def scene() -> None:
        with watching(link if is_link else node) as lookout:
            change(node)
            await noticed(lookout)

    asyncio.run(scene())


def test_a_link_that_leads_elsewhere_is_followed_there(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    link = tmp_path / "links" / "by-id"
    for directory in (first, second, link.parent):
        directory.mkdir()
    link.symlink_to(first / "ttyACM0")

    async def scene() -> None:
        with watching(link) as lookout:
            for home in (second, first):
                fresh = link.with_name("fresh")
                fresh.symlink_to(home / "ttyACM0")
                fresh.replace(link)
                await noticed(lookout)
                lookout.arm(lookout.paths)
                await until_read(tmp_path)
                (home / "ttyACM0").touch()
                await noticed(lookout)

    asyncio.run(scene())


@pytest.mark.parametrize("is_at_once", [True, False])
def test_directories_that_do_not_exist_yet_are_waited_for(tmp_path: Path, *, is_at_once: bool) -> None:
    """/dev/serial/by-id comes with the first device and goes with the last."""
    device = tmp_path / "serial" / "by-id" / "scanner"

    async def scene() -> None:
        with watching(device) as lookout:
            for _ in range(3):
                if is_at_once:
                    device.parent.mkdir(parents=True)
                    device.touch()
                else:
                    for step in (device.parent.parent.mkdir, device.parent.mkdir, device.touch):
                        step()
                        await noticed(lookout)
                        lookout.arm(lookout.paths)
                await noticed_as(lookout, device.exists, is_true=True)
                device.unlink()
                device.parent.rmdir()
                device.parent.parent.rmdir()
                await noticed_as(lookout, device.parent.parent.exists, is_true=False)

    asyncio.run(scene())


async def noticed_as(lookout: Lookout, fact: Callable[[], bool], *, is_true: bool) -> None:
    """Look as the supervisor does: arm, look, wait."""
    async with asyncio.timeout(WAIT_S):
        while True:
            lookout.arm(lookout.paths)
            if fact() is is_true:
                return
            await lookout.changed()


def test_a_directory_that_is_moved_away_is_noticed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    async def scene() -> None:
        with watching(home / "device") as lookout:
            home.rename(tmp_path / "gone")
            await noticed(lookout)
            lookout.arm(lookout.paths)
            home.mkdir()
            await noticed(lookout)
            lookout.arm(lookout.paths)
            (home / "device").touch()
            await noticed(lookout)

    asyncio.run(scene())


@pytest.mark.parametrize("below", ["event0", "by-id/scanner", "new/7"])
def test_a_directory_stands_for_what_is_in_it_and_one_level_below(tmp_path: Path, below: str) -> None:
    """/dev/input, and /dev/bus/usb with a directory for each controller."""
    (tmp_path / "input" / "by-id").mkdir(parents=True)

    async def scene() -> None:
        with watching(tmp_path / "input") as lookout:
            path = tmp_path / "input" / below
            path.parent.mkdir(exist_ok=True)
            if below.startswith("new"):
                await noticed(lookout)
                lookout.arm(lookout.paths)
            path.touch()
            await noticed(lookout)

    asyncio.run(scene())


def test_others_neither_wake_it_nor_leave_anything_behind(tmp_path: Path, kept: list[KeptInotify]) -> None:
    async def scene() -> None:
        with contextlib.closing(DeviceWatch(start=KeptInotify)) as watch:
            mine, bell = Lookout(watch), Lookout(watch)
            mine.arm((tmp_path / "a" / "mine",))
            bell.arm((tmp_path / "bell",))
            assert len(kept) == 1
            for number in range(100):
                (tmp_path / f"other{number}").touch()
            (tmp_path / "bell").touch()
            await noticed(bell)
            assert not is_noted(mine)
            assert kept[0].watched() == 1
            (tmp_path / "a").mkdir()
            await noticed(mine)
            bell.close()
            assert kept[0].watched() == 1
            mine.close()
            assert kept[0].watched() == 0
            mine.arm((tmp_path / "a" / "mine",))
            assert not mine.is_blind

    asyncio.run(scene())


def test_what_happened_before_it_was_armed_is_seen_by_looking(tmp_path: Path) -> None:
    async def scene() -> None:
        with watching(tmp_path / "device") as lookout:
            (tmp_path / "device").touch()
            await until_read(tmp_path)
            lookout.arm(lookout.paths)
            assert not lookout.is_blind

    asyncio.run(scene())


def test_more_than_the_kernel_keeps_means_that_anything_may_have_changed(tmp_path: Path) -> None:
    """Three notices for each file; the kernel folds equal ones that follow each other into one."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    quiet = tmp_path / "quiet"
    quiet.mkdir()

    async def scene() -> None:
        with contextlib.closing(DeviceWatch()) as watch:
            loud, still = Lookout(watch), Lookout(watch)
            loud.arm((tmp_path / "device",))
            still.arm((quiet / "device",))
            for number in range(limit // 2):
                path = tmp_path / str(number % 2)
                path.touch()
                path.chmod(0o600)
                path.unlink()
            await noticed(still)
            still.arm(still.paths)
            (quiet / "device").touch()
            await noticed(still)

    asyncio.run(scene())


STORM = """
import os, sys
for number in range(int(sys.argv[2])):
    path = os.path.join(sys.argv[1], str(number % 512))
    os.close(os.open(path, os.O_CREAT))
    os.unlink(path)
"""
FILES = 20_000
#: What nothing that a device does may hold the loop for.
STALL_S = 0.05


def test_a_storm_costs_each_turn_of_the_loop_little(tmp_path: Path, kept: list[KeptInotify]) -> None:
    """I8, I11: processor time of each turn, which does not depend on what else the machine does."""

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        longest_s, last_s, turns = 0.0, time.thread_time(), 0
        storm = await asyncio.create_subprocess_exec(sys.executable, "-c", STORM, str(tmp_path), str(FILES))
        with watching(tmp_path / "device", start=KeptInotify) as lookout:

            def turn() -> None:
                nonlocal longest_s, last_s, turns
                now_s = time.thread_time()
                longest_s, last_s, turns = max(longest_s, now_s - last_s), now_s, turns + 1
                if storm.returncode is None:
                    loop.call_later(0.001, turn)

            turn()
            assert await storm.wait() == 0
            (tmp_path / "device").touch()
            await noticed_as(lookout, (tmp_path / "device").exists, is_true=True)
            await until_read(tmp_path)
        assert sum(kept[0].sizes) > 0
        assert max(kept[0].sizes) <= READ_LIMIT // 16
        assert longest_s < STALL_S
        assert turns > 1

    asyncio.run(scene())


# --- when the kernel has nothing to give -----------------------------------------------------------------------------


class Full(Inotify):
    """One for which this user has too many watches."""

    def add(self, directory: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), directory)


def refuse() -> Inotify:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(("start", "advice"), [(refuse, "max_user_instances"), (Full, "max_user_watches")])
def test_without_watches_it_is_blind_and_says_once_what_to_raise(
    tmp_path: Path, start: Callable[[], Inotify], advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        with watching(tmp_path / "a", start=start) as lookout:
            for _ in range(3):
                assert lookout.is_blind
                lookout.arm((tmp_path / "b",))

    with caplog.at_level(logging.DEBUG, LOGGER):
        asyncio.run(scene())
    assert [advice in line(record) for record in caplog.records] == [True]


def test_it_sees_as_soon_as_the_kernel_gives_again(tmp_path: Path) -> None:
    answers: list[Callable[[], Inotify]] = [refuse, Inotify]

    def start() -> Inotify:
        return answers.pop(0)()

    async def scene() -> None:
        with watching(tmp_path / "device", start=start) as lookout:
            blind = [lookout.is_blind]
            lookout.arm(lookout.paths)
            assert [*blind, lookout.is_blind] == [True, False]
            (tmp_path / "device").touch()
            await noticed(lookout)

    asyncio.run(scene())


def test_without_paths_or_a_watch_it_is_blind(tmp_path: Path) -> None:
    alone = Lookout(None)
    alone.arm((tmp_path,))
    assert alone.is_blind
    alone.close()

    async def scene() -> None:
        with watching() as lookout:
            assert lookout.is_blind

    asyncio.run(scene())


def test_after_closing_nothing_is_left(tmp_path: Path, kept: list[KeptInotify]) -> None:
    async def scene() -> None:
        watch = DeviceWatch(start=KeptInotify)
        lookout = Lookout(watch)
        lookout.arm((tmp_path / "device",))
        (tmp_path / "device").touch()
        await noticed(lookout)
        watch.close()
        watch.close()
        assert lookout.is_blind
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(kept[0].fd)

    asyncio.run(scene())


def test_importing_the_binding_starts_no_process() -> None:
    """The library that finds libraries by name runs a program for it, and a hardened unit may forbid that."""
    source = "import sys; import terminald.adapters.device_watch; sys.exit('ctypes.util' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
