"""What is told about a sale as it may leave the terminal: redacted, but identifiers keep their digits.

Payment codes are masked by the sentences themselves; here the keys of the running process are taken out as well, which
only the logs know.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from terminald.core.receipt import Language
from terminald.core.story import Dossier
from terminald.logs import redact, redact_identifier
from terminald.wire.api_story import Origin, evidence_shape, explanation_json

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

#: Fields that hold numbers which the gateway, the host or terminald gave: customer service asks for them. A payment
#: code is in none of them but ``code``, which is masked from the start.
IDENTIFIERS: Final = frozenset(
    {"id", "reference", "client_sn", "sn", "trade_no", "client_tsn", "request_no", "device_id", "about", "finish_time"}
)


def explained_json(dossier: Dossier, language: Language) -> bytes:
    """Write the explanation of a sale. Its sentences name orders by numbers that are as long as a payment code."""
    return redact_identifier(explanation_json(dossier, language).decode()).encode()


def evidence_json(dossier: Dossier, origin: Origin, language: Language) -> bytes:
    """Write the evidence about a sale."""
    plain: Json = msgspec.to_builtins(evidence_shape(dossier, origin, language))
    return msgspec.json.encode(_redacted(plain, ""))


def _redacted(value: Json, name: str) -> Json:
    """Return the value with every text in it redacted; name is that of the field which holds it."""
    if isinstance(value, str):
        return redact_identifier(value) if name in IDENTIFIERS else redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(inner, key) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_redacted(inner, name) for inner in value]
    return value
