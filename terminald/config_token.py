"""The token that callers of the loopback port present: read from its file, and from nowhere else."""

import os
import re
import stat
from pathlib import Path
from typing import Final

from terminald.config import Config
from terminald.config_rules import NotAllowed
from terminald.core.ids import Secret
from terminald.errors import ConfigError

#: 32 characters of a random token are 128 bits at least: nobody guesses them, however long they ask.
MIN_TOKEN: Final = 32
#: What a header holds with ease.
MAX_TOKEN: Final = 256
#: What a token may consist of (RFC 6750, b64token).
_FORM: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def read_api_token(config: Config) -> Secret | None:
    """Return the token of ``api.token_file``; None where no port is to be opened. One final line end is not part of it.

    Raises:
        ConfigError: there is none to be had. It is not shown.
    """
    path = config.api.token_file
    if config.api.listen is None or path is None:
        return None
    try:
        return _read(path)
    except NotAllowed as exc:
        raise ConfigError([config.places.fault(("api", "token_file"), str(exc))]) from exc


def _read(path: Path) -> Secret:
    try:
        # Without a wait: a pipe or a device is no file with a token.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise NotAllowed(
            f"{path} can not be read: {exc.strerror}; it must be there and readable for this user"
        ) from exc
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotAllowed(f"{path} is not a file; allowed: a file with one line")
        if mode & stat.S_IRWXO:
            raise NotAllowed(f"{path} is open to every user (mode {stat.S_IMODE(mode):04o}); run: chmod o= {path}")
        text = os.read(descriptor, MAX_TOKEN + 3).decode("ascii", errors="replace")
    finally:
        os.close(descriptor)
    token = text.removesuffix("\n").removesuffix("\r")
    if not _FORM.fullmatch(token) or not MIN_TOKEN <= len(token) <= MAX_TOKEN:
        what = f"{MIN_TOKEN} to {MAX_TOKEN} letters, digits and -._~+/="
        raise NotAllowed(f"{path} holds no token; allowed: one line of {what}, as terminald token makes it")
    return Secret(token)


def is_replaceable(text: bytes) -> bool:
    """Whether the content of a file is nothing, or at most a token: one of any length, so that a weak one can go."""
    line = text.decode("ascii", errors="replace").removesuffix("\n").removesuffix("\r")
    return not line or (len(line) <= MAX_TOKEN and _FORM.fullmatch(line) is not None)
