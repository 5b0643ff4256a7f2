"""How the broker of a fleet is reached: settings, trust, and what a failure to connect means. Without the MQTT library.

The library is optional and takes its time to import: :func:`make_broker` imports what needs it.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminald.adapters.ports_fleet import FleetBroker
from terminald.config_mqtt import INSTALL, PACKAGE, has_package
from terminald.core.ids import Secret
from terminald.errors import FleetError

#: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl, x509_vfy.h).
_CLOCK_VERDICTS: Final = frozenset({9, 10})
#: How deep the causes of an error are followed (I11).
_MAX_CAUSES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where the broker is, and as whom to talk to it. Without TLS only on this machine, which the caller sees to."""

    host: str
    port: int
    has_tls: bool
    client_id: str
    username: str = ""
    password: Secret | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    #: After so much silence each side asks the other whether it is there; broken connections are noticed within two.
    keep_alive_s: int = 60

    @property
    def place(self) -> str:
        """Return host and port for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class _TidySocket(ssl.SSLSocket):
    """Closes itself when it can not be used: the library forgets it, once for each try to connect."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as its base
        """Agree on the encryption, or let go of the descriptor."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def make_broker(settings: BrokerSettings) -> FleetBroker:
    """Return the broker, not yet connected. Imports the library.

    Raises:
        FleetError: the library is not there or not whole, or a certificate or key can not be read.
    """
    context = tls_context(settings) if settings.has_tls else None
    if not has_package():
        raise FleetError("package_missing", f"the package {PACKAGE} is missing; run: {INSTALL}")
    try:
        from terminald.adapters.fleet_mqtt import MqttBroker  # noqa: PLC0415 - it needs the library, which is optional
    except ImportError as exc:
        # Without what it needs itself, or in another version.
        raise FleetError("package_missing", f"the package {PACKAGE} can not be used: {exc}; run: {INSTALL}") from exc
    return MqttBroker(settings, context)


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """Trust the authorities of the CA file, or else the system's by the paths that are built into OpenSSL.

    The broker's name is always compared with its certificate; the environment can not add to what is trusted.

    Raises:
        FleetError: a file can not be read as what it should be. Its content is not shown.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _TidySocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    paths = ssl.get_default_verify_paths()
    cafile: Path | None = settings.ca_file
    capath = None
    if cafile is None:
        cafile = Path(paths.openssl_cafile) if Path(paths.openssl_cafile).is_file() else None
        capath = paths.openssl_capath if Path(paths.openssl_capath).is_dir() else None
    if cafile or capath:
        try:
            context.load_verify_locations(cafile=cafile, capath=capath)
        except OSError as exc:
            raise FleetError("file", f"{cafile} can not be read as certificates") from exc
    if settings.certificate_file is not None:
        try:
            # Without a password the library would ask on the terminal for that of an encrypted key.
            context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
        except (OSError, ValueError) as exc:
            what = f"{settings.certificate_file} and its key can not be read, are encrypted, or do not belong together"
            raise FleetError("file", what) from exc
    return context


def unconnected(exc: BaseException) -> FleetError:
    """Return why there is no connection; a certificate that is not valid *now* points at the clock first."""
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _CLOCK_VERDICTS:
                detail = f"{cause.verify_message}, by this machine's clock: is its time right?"
                return FleetError("clock", f"the broker's certificate: {detail}")
            return FleetError("certificate", f"the broker's certificate is not trusted: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return FleetError("tls", f"no encrypted connection: {cause.reason or 'the broker ended it'}")
        if isinstance(cause, OSError):
            return FleetError("unreachable", cause.strerror or type(cause).__name__)
    return FleetError("unreachable", str(exc) or type(exc).__name__)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exc
    for _ in range(_MAX_CAUSES):
        if cause is None:
            return
        yield cause
        # The library raises again "from None": then the context is all there is.
        cause = cause.__cause__ or cause.__context__
