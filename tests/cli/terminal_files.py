"""The files of a terminal that a test activates, and what its journal holds afterwards."""

from contextlib import closing
from pathlib import Path

from terminald.adapters.journal_sqlite import SqliteJournal
from terminald.core.terminal import ActivationIntent, Terminal
from tests.cli.simulated_gateway import APP_ID, VENDOR_KEY, VENDOR_SN


def write_config(
    directory: Path, url: str, *, key: str = VENDOR_KEY, device_id: str = "device-1", ca_file: Path | str = ""
) -> Path:
    """Write configuration and vendor key; return the configuration's path. The state directory is not made."""
    key_file = directory / "vendor.key"
    key_file.write_text(f"{key}\n")
    key_file.chmod(0o600)
    path = directory / "terminald.toml"
    path.write_text(
        f'[terminal]\nname = "lobby-7"\ndevice_id = "{device_id}"\n'
        f'[gateway]\nurl = "{url}"\nconnect_timeout = "2s"\nread_timeout = "5s"\n'
        f'[vendor]\nsn = "{VENDOR_SN}"\napp_id = "{APP_ID}"\nkey_file = "{key_file}"\n'
        f'[state]\ndirectory = "{directory}/state"\n'
    )
    if ca_file:
        path.write_text(path.read_text().replace("[vendor]", f'ca_file = "{ca_file}"\n[vendor]'))
    return path


def journal_file(config: Path) -> Path:
    return config.parent / "state" / "journal.db"


def journal_of(config: Path) -> SqliteJournal:
    """Open the journal; nobody else has it."""
    return SqliteJournal(journal_file(config))


def terminal_of(config: Path) -> Terminal | None:
    with closing(journal_of(config)) as journal:
        return journal.load_terminal()


def tries_of(config: Path) -> tuple[ActivationIntent, ...]:
    with closing(journal_of(config)) as journal:
        return journal.activations()


def outcomes(config: Path) -> list[str]:
    """Return the first word of each try's outcome; empty where nobody knows it."""
    return [one.outcome.partition(":")[0] for one in tries_of(config)]
