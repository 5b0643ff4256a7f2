"""Who calls on the Unix socket, as the kernel says it, and what such a caller may do.

Whoever may open the socket may sell, and so may a caller over TCP, of whom the kernel says nothing. What gives money
back, touches the terminal's key or settles a case in somebody's name is for administrators: root, the daemon's own
user, and the members of one group.
"""

import grp
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Final

from terminald.errors import ApiError
from terminald.wire.api_calls import ApiCall
from terminald.wire.api_door import Place

_ROOT: Final = 0
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid; the pid may be another process's by now, and decides nothing
_GROUP: Final = struct.Struct("I")
#: Linux 4.13 and later (socket(7)); Python has no name for it.
_SO_PEERGROUPS: Final = 59
#: As much of an option as Python reads: 256 groups. Whoever is in more counts as a member of the first one only.
_GROUPS_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The user who made a connection, with the groups of that process at that moment."""

    uid: int
    gid: int
    groups: frozenset[int] = field(default=frozenset())


def peer_of(sock: socket.socket) -> Peer | None:
    """Return who is at the other end; None where the kernel does not know: not a Unix socket."""
    if sock.family != socket.AF_UNIX:
        return None
    try:
        _, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except OSError:
        return None
    return Peer(uid=uid, gid=gid, groups=_groups(sock))


def place_of(sock: socket.socket) -> Place | None:
    """Return where a connection arrived, IP address and port; None for the Unix socket."""
    if sock.family == socket.AF_UNIX:
        return None
    host, port = sock.getsockname()[:2]
    return host, port


def _groups(sock: socket.socket) -> frozenset[int]:
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:  # too many, or an older kernel
        return frozenset()
    return frozenset(number for (number,) in _GROUP.iter_unpack(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Decides what a caller may do. Without a group, root and the daemon's own user are the only administrators."""

    own_uid: int
    group: str = ""
    admin_gid: int | None = None

    def check(self, peer: Peer | None, call: ApiCall) -> None:
        """Let the caller pass.

        Raises:
            ApiError: forbidden.
        """
        if not call.is_for_admins or self.is_admin(peer):
            return
        who = "a caller over TCP" if peer is None else f"user id {peer.uid}"
        group = f" and the members of group {self.group}" if self.group else ""
        what = call.id.replace("_", " ")
        raise ApiError("forbidden", f"{what}: {who} may sell; this is for root, the service's user{group}.")

    def is_admin(self, peer: Peer | None) -> bool:
        """Tell whether the kernel vouches for an administrator."""
        if peer is None:
            return False
        is_member = self.admin_gid is not None and self.admin_gid in (peer.gid, *peer.groups)
        return peer.uid in (_ROOT, self.own_uid) or is_member


def gate_of(group: str) -> Gate:
    """Return the gate with a group of this machine; one that is not there has no members."""
    gid: int | None = None
    try:
        gid = grp.getgrnam(group).gr_gid if group else None
    except KeyError:
        gid = None
    return Gate(own_uid=os.geteuid(), group=group, admin_gid=gid)
