"""Who may do what: as the kernel says who it is, and never as the caller does."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from terminald.adapters.api_peer import Gate, Peer, gate_of, peer_of
from terminald.errors import ApiError
from terminald.wire.api_calls import CALLS
from tests.adapters.api_desk import FakeDesk, serving

#: Calls that move money back, touch the key, settle a case, or hold sales back; every other one is part of selling.
ADMIN_CALLS = {"refund", "revoke", "close_attention", "check_in", "drain", "resume"}
OWN, ADMINS, KIOSK = 990, 991, 1001
GATE = Gate(own_uid=OWN, group="terminald-admin", admin_gid=ADMINS)


def test_selling_is_for_all_callers_and_the_rest_for_administrators() -> None:
    assert {call.id for call in CALLS if call.is_for_admins} == ADMIN_CALLS
    for call in CALLS:
        assert ("forbidden" in call.problems) is call.is_for_admins


@pytest.mark.parametrize(
    ("peer", "is_admin"),
    [
        (Peer(uid=0, gid=0), True),
        (Peer(uid=OWN, gid=OWN), True),
        (Peer(uid=KIOSK, gid=ADMINS), True),
        (Peer(uid=KIOSK, gid=100, groups=frozenset({5, ADMINS})), True),
        (Peer(uid=KIOSK, gid=100, groups=frozenset({5, OWN, 0})), False),
        (Peer(uid=KIOSK, gid=0), False),
        (Peer(uid=65534, gid=65534), False),
        (None, False),
    ],
)
def test_an_administrator_is_root_the_service_or_a_member(peer: Peer | None, is_admin: bool) -> None:  # noqa: FBT001 - a table's column
    assert GATE.is_admin(peer) is is_admin
    for call in CALLS:
        if is_admin or not call.is_for_admins:
            GATE.check(peer, call)
            continue
        with pytest.raises(ApiError, match="members of group terminald-admin") as caught:
            GATE.check(peer, call)
        assert caught.value.code == "forbidden"


def test_without_a_group_or_with_one_that_is_missing_nobody_is_a_member() -> None:
    for name in ("", "no-such-group-here"):
        gate = gate_of(name)
        assert (gate.own_uid, gate.admin_gid) == (os.geteuid(), None)
        assert not gate.is_admin(Peer(uid=KIOSK + gate.own_uid, gid=0, groups=frozenset({0})))


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        peer = peer_of(here)
    assert peer is not None
    assert (peer.uid, peer.gid) == (os.geteuid(), os.getegid())
    assert peer.groups == frozenset(os.getgroups())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its groups")
@pytest.mark.parametrize(("groups", "known"), [([7, 9], {7, 9}), (list(range(1000, 1600)), set())])
def test_groups_are_those_of_the_moment_and_too_many_are_none(groups: list[int], known: set[int]) -> None:
    before = os.getgroups()
    os.setgroups(groups)
    try:
        here, there = socket.socketpair(socket.AF_UNIX)
    finally:
        os.setgroups(before)
    with here, there:
        peer = peer_of(here)
    assert peer is not None
    assert peer.groups == known


def test_of_a_network_connection_it_says_nothing() -> None:
    with socket.socket(socket.AF_INET) as sock:
        assert peer_of(sock) is None


def test_a_refused_call_has_done_nothing_and_says_who_may(tmp_path: Path) -> None:
    """I9: not even the body is read."""
    desk = FakeDesk()
    stranger = Gate(own_uid=os.geteuid() + 1, group="tills", admin_gid=None)

    async def scene() -> None:
        async with serving(tmp_path, desk, gate=stranger) as served:
            answer = await served.client.post("/v1/sales/x/refunds", json={"reference": "r"})
            assert answer.status_code == 403
            problem = answer.json()
            assert problem["code"] == "forbidden"
            assert "group tills" in problem["detail"]
            assert "api.admin_group" in problem["advice"]
            assert (await served.client.get("/v1/status")).status_code == 200

    if os.geteuid() == 0:
        pytest.skip("root may do everything; tests/system/test_callers.py shows it with other users")
    asyncio.run(scene())
    assert desk.calls == []
