"""The gateway's signature over the exact bytes of a body."""

import hashlib
import re

from terminald.core.ids import Secret

#: What may stand in a header as a serial number: one word, so that exactly one blank parts it from the sign.
_SERIAL_NUMBER = re.compile(r"[!-~]{1,64}")


def sign(body: bytes, key: Secret) -> str:
    """Return MD5 of the body followed by the key in UTF-8: 32 lower-case hex digits (Web API documents, signature)."""
    return hashlib.md5(body + key.reveal().encode(), usedforsecurity=False).hexdigest()


def authorization(sn: str, body: bytes, key: Secret) -> str:
    """Return the value of the Authorization header: serial number, exactly one blank, signature.

    Raises:
        ValueError: the serial number is not one word of printable ASCII.
    """
    if _SERIAL_NUMBER.fullmatch(sn) is None:
        raise ValueError("the serial number is not one word of printable ASCII")
    return f"{sn} {sign(body, key)}"
