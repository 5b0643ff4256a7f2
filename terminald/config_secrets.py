"""Secrets that the configuration names and never contains: files for one user, and systemd's credentials."""

import os
import re
from pathlib import Path

from terminald.config_files import read_file
from terminald.config_rules import NotAllowed
from terminald.core.ids import Secret

#: Vendor keys are 32 characters; a longer file is not a key.
_MAX_BYTES = 1024


def credential(name: str) -> Path | None:
    """Return where systemd has put the credential of this name; None where it passes none."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return path if directory and (path := Path(directory, name)).exists() else None


def read_secret(path: Path, what: str) -> Secret:
    """Return the one line of a file, without its end. What is "a key", for the message.

    Raises:
        NotAllowed: it can not be read, or is no such line. The content is not shown.
    """
    try:
        text = read_file(path, _MAX_BYTES + 1).decode("ascii")
    except OSError as exc:
        raise NotAllowed(f"{path} cannot be read: {exc.strerror}; it must be there and readable for this user") from exc
    except UnicodeDecodeError:
        text = ""
    secret = text.removesuffix("\n").removesuffix("\r")
    if not re.fullmatch("[!-~]+", secret) or len(text) > _MAX_BYTES:
        raise NotAllowed(f"{path} is not {what}; allowed: one line of letters and digits, without blanks")
    return Secret(secret)
