"""``terminald token``: make a new token for callers over TCP, in the place of the one before."""

import argparse
import grp
import os
import pwd
import secrets
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters.accounts import group_name, user_name
from terminald.cli.outcome import DONE, CommandFailed
from terminald.config import Config, load
from terminald.config_token import MAX_TOKEN, is_replaceable
from terminald.errors import ConfigError

#: 256 bits.
_BYTES: Final = 32
_USER: Final = "terminald"
_LEAVE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """Whose the file is to be; -1 leaves what the system gives."""

    uid: int = _LEAVE
    gid: int = _LEAVE
    mode: int = 0o600


def token(args: argparse.Namespace) -> int:
    """Write a new token to ``api.token_file``. It is shown to nobody."""
    config = load(args.config)
    path = config.api.token_file
    if path is None:
        fault = "is empty; allowed: where the token is to be, such as /etc/terminald/api_token"
        raise ConfigError([config.places.fault(("api", "token_file"), fault)])
    owner = _owner(config, path, args.group)
    try:
        _expect_token(config, path)
        _replace(path, owner)
        found = path.stat()
    except OSError as exc:
        what = f"no token can be written to {path}: {exc.strerror}"
        raise CommandFailed(what, advice="run it as root, or as the user whose the file is") from exc
    whose = f"user {user_name(found.st_uid)}, group {group_name(found.st_gid)}"
    print(f"A new token is in {path} ({whose}, mode {stat.S_IMODE(found.st_mode):04o}).")
    if config.api.listen is None:
        print("Nobody can call over TCP yet: set api.listen, then start terminald again.")
    else:
        print("Next: systemctl reload terminald. From then on the token before is refused.")
    return DONE


def _owner(config: Config, path: Path, group: str | None) -> _Owner:
    """Return whose the token is: as it was; a new one is the service's, and readable for the group that is named."""
    gid = _LEAVE if group is None else _group(group)
    try:
        found = path.stat()
    except OSError:
        return _Owner(uid=_service_uid(config), gid=gid, mode=0o600 if group is None else 0o640)
    is_shared = group is not None or found.st_mode & stat.S_IRGRP
    return _Owner(uid=found.st_uid, gid=found.st_gid if group is None else gid, mode=0o640 if is_shared else 0o600)


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise CommandFailed(f"there is no group {name}", advice="getent group lists them") from None


def _service_uid(config: Config) -> int:
    """Return the service's user, as root alone can give files away: whose the state is, or the usual one."""
    if os.geteuid() != 0:
        return _LEAVE
    try:
        return config.state.directory.stat().st_uid
    except OSError:
        # It is not there before the service's first start: the user that the service usually has.
        return _uid(_USER)


def _uid(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return _LEAVE


def _expect_token(config: Config, path: Path) -> None:
    """Let nothing be replaced but a token, or an empty file: root would replace whatever api.token_file names.

    A vendor key or a password looks like a token.
    """
    if not path.exists():
        return
    text = b" "
    others = (config.vendor.key_file, config.mqtt.password_file)
    is_another = any(one is not None and one.exists() and one.samefile(path) for one in others)
    if path.is_file() and not is_another:
        with path.open("rb") as file:
            text = file.read(MAX_TOKEN + 3)
    if not is_replaceable(text):
        raise CommandFailed(
            f"{path} holds something else than a token; nothing was changed",
            advice="name another file in api.token_file, or move this one away",
        )


def _replace(path: Path, owner: _Owner) -> None:
    """Put a new token there at once: nobody reads half of one, and who has the old file open keeps that."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secrets.token_urlsafe(_BYTES)}\n")
            os.fchown(descriptor, owner.uid, owner.gid)
            os.fchmod(descriptor, owner.mode)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
