"""Tell when a device may have come, gone, or changed its permissions, without looking again and again.

Theory of operation: for each path the directories are watched in which its next change can be seen. That is its own
directory, or the nearest one above that exists; and where the path is a link (udev's names are), the same for what it
leads to. Directories come and go with the devices, so each notice that concerns a path places its watches anew. The
watches are always placed before the device is looked for: what happens in between is a notice too.
"""

import asyncio
import errno
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from terminald.adapters.inotify import Inotify, Notice
from terminald.logs import log_event
from terminald.logs_ids import LogId

_log = logging.getLogger(__name__)

#: After what came at once, notices are left to gather for this time: udev makes several at each plugging in.
PAUSE_S: Final = 0.1
#: Reads, each in its own turn of the loop, before a pause is made in any case: more than the kernel keeps (16,384).
READS: Final = 128
#: How often watches are placed again because directories came or went meanwhile; after that the device is looked for.
_ROUNDS: Final = 4
#: Links that are followed; udev makes one.
_LINKS: Final = 8
#: Directories below a watched directory that are watched as well: /dev/bus/usb has one for each USB controller.
_BELOW: Final = 64
#: Entries of a watched directory that are looked at to find them.
_ENTRIES: Final = 1024

#: Stands for every name in a directory.
_ANY: Final = b""
_NONE: Final[frozenset["Lookout"]] = frozenset()

_Place = tuple[str, bytes]  # directory, name in it
_Spot = tuple[int, bytes]  # number of the directory's watch, name in it


class Lookout:
    """What one device waits for. Blind until it is armed, and while the kernel gives no watches."""

    def __init__(self, watch: "DeviceWatch | None") -> None:
        """Without a watch it is blind for ever."""
        self._watch = watch
        self._change = asyncio.Event()
        self.paths: tuple[Path, ...] = ()
        self.is_blind = True

    def arm(self, paths: tuple[Path, ...]) -> None:
        """Watch these paths, and forget what was noticed. To be called before the device is looked for."""
        self._change.clear()
        self.paths = paths
        self.is_blind = self._watch is None or not paths or not self._watch.cover(self)

    def close(self) -> None:
        """Watch nothing; it may be armed again."""
        self.is_blind = True
        if self._watch is not None:
            self._watch.uncover(self)

    def note(self) -> None:
        """Take a change for granted."""
        self._change.set()

    async def changed(self) -> None:
        """Return when something has changed since it was armed, at once if so; never while it is blind."""
        await self._change.wait()


class DeviceWatch:
    """One inotify instance for all devices. Made at the first need, inside the event loop."""

    def __init__(self, *, start: Callable[[], Inotify] = Inotify) -> None:
        """Start opens the kernel's queue of notices; it may raise OSError."""
        self._start = start
        self._inotify: Inotify | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resuming: asyncio.TimerHandle | None = None
        self._reads = 0
        self._told: set[int | None] = set()
        #: Who is concerned by a notice.
        self._spots: dict[int, dict[bytes, set[Lookout]]] = {}
        #: The same the other way round: where each lookout is placed.
        self._placed: dict[Lookout, frozenset[_Spot]] = {}

    def cover(self, lookout: Lookout) -> bool:
        """Place the watches for a lookout's paths, in the place of those that it has; return whether it sees.

        Where the kernel gives no watch this is logged once, and tried again at the next call.
        """
        try:
            inotify = self._started()
            for _ in range(_ROUNDS):
                places = frozenset(itertools.chain.from_iterable(_places(path) for path in lookout.paths))
                is_whole = self._place(inotify, lookout, places)
                if is_whole and places == frozenset(itertools.chain.from_iterable(map(_places, lookout.paths))):
                    return True
        except OSError as exc:
            self.uncover(lookout)
            self._tell(exc)
            return False
        lookout.note()
        return True

    def uncover(self, lookout: Lookout) -> None:
        """Take a lookout's watches away."""
        if self._inotify is not None:
            self._move(self._inotify, lookout, frozenset())
        self._placed.pop(lookout, None)

    def close(self) -> None:
        """Let go of everything; the lookouts are blind from now on."""
        for lookout in list(self._placed):
            lookout.close()
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if self._inotify is not None and self._loop is not None:
            self._loop.remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _started(self) -> Inotify:
        if self._inotify is None:
            self._inotify = self._start()
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._inotify.fd, self._on_readable, self._inotify)
        return self._inotify

    def _place(self, inotify: Inotify, lookout: Lookout, places: frozenset[_Place]) -> bool:
        """Watch these places; return whether all of them are there.

        Raises:
            OSError: the kernel gives no watch.
        """
        spots: set[_Spot] = set()
        is_whole = True
        try:
            for directory, name in places:
                try:
                    spots.add((inotify.add(directory), name))
                except (FileNotFoundError, NotADirectoryError):
                    is_whole = False
        finally:
            self._move(inotify, lookout, frozenset(spots))
        return is_whole

    def _move(self, inotify: Inotify, lookout: Lookout, spots: frozenset[_Spot]) -> None:
        """Note where a lookout is placed now, and drop the watches that nobody needs any more."""
        before = self._placed.get(lookout, frozenset())
        for watch, name in spots - before:
            self._spots.setdefault(watch, {}).setdefault(name, set()).add(lookout)
        for watch, name in before - spots:
            names = self._spots.get(watch, {})
            who = names.get(name, set())
            who.discard(lookout)
            if not who:
                names.pop(name, None)
            if not names and self._spots.pop(watch, None) is not None:
                inotify.remove(watch)
        self._placed[lookout] = spots

    def _on_readable(self, inotify: Inotify) -> None:
        """Take what has come, in one bounded piece for each turn of the loop."""
        notices, is_all = inotify.read()
        self._reads += 1
        if (is_all or self._reads >= READS) and self._loop is not None:
            self._loop.remove_reader(inotify.fd)
            self._resuming = self._loop.call_later(PAUSE_S, self._resume, inotify)
        for lookout in self._concerned(notices):
            lookout.note()
            lookout.is_blind = not self.cover(lookout)

    def _resume(self, inotify: Inotify) -> None:
        self._resuming = None
        self._reads = 0
        if self._loop is not None:
            self._loop.add_reader(inotify.fd, self._on_readable, inotify)

    def _concerned(self, notices: Iterable[Notice]) -> set[Lookout]:
        concerned: set[Lookout] = set()
        for notice in notices:
            if notice.is_overflow:
                concerned.update(self._placed)
                continue
            names = self._spots.get(notice.watch)
            if names is None:
                continue
            if notice.name:
                concerned.update(names.get(notice.name, _NONE), names.get(_ANY, _NONE))
            else:
                concerned.update(*names.values())
            if notice.is_watch_over:
                del self._spots[notice.watch]
        return concerned

    def _tell(self, exc: OSError) -> None:
        """Say once for each cause why devices are looked for by time."""
        if exc.errno in self._told:
            return
        self._told.add(exc.errno)
        advice = {
            errno.ENOSPC: "; raise the limit: sysctl fs.inotify.max_user_watches",
            errno.EMFILE: "; raise the limit: sysctl fs.inotify.max_user_instances, or LimitNOFILE= of the unit",
        }.get(exc.errno or 0, "")
        log_event(_log, LogId.DEVICES_POLLED, detail=f"{exc.strerror}{advice}")


def _places(path: Path) -> Iterator[_Place]:
    """Yield where the next change of a path, or of what it leads to, can be seen."""
    place = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow the links that are to be watched
    for _ in range(_LINKS):
        wanted, name = os.path.split(place)
        parent = wanted
        while not os.path.isdir(parent):  # noqa: PTH112 - strings throughout: this runs for each notice
            parent, name = os.path.split(parent)
        yield parent, os.fsencode(name) or _ANY
        if parent != wanted:
            return
        try:
            target = os.readlink(place)  # noqa: PTH115 - as above
        except OSError:
            break
        place = os.path.normpath(os.path.join(os.path.realpath(wanted), target))  # noqa: PTH118 - as above
    if os.path.isdir(place):  # noqa: PTH112 - as above
        yield place, _ANY
        yield from ((below, _ANY) for below in itertools.islice(_directories(place), _BELOW))


def _directories(place: str) -> Iterator[str]:
    try:
        with os.scandir(place) as entries:
            for entry in itertools.islice(entries, _ENTRIES):
                if entry.is_dir(follow_symlinks=False):
                    yield entry.path
    except OSError:  # gone meanwhile
        return
