"""The symbolic link under which a simulated device is found, whichever pseudo terminal it is at the time.

There may be no link: then nothing is done.
"""

from pathlib import Path


def claim(link: Path | None) -> None:
    """Make the link's directory.

    Raises:
        FileExistsError: something other than a symbolic link is in its place.
    """
    if link is None:
        return
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} is not a symbolic link")
    link.parent.mkdir(parents=True, exist_ok=True)


def point(link: Path | None, device: str) -> None:
    """Have a claimed link name the device, at once for whoever looks."""
    if link is None:
        return
    fresh = link.with_name(f"{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(device)
    fresh.replace(link)


def withdraw(link: Path | None, device: str) -> None:
    """Remove the link where it still names the device."""
    if link is not None and link.is_symlink() and str(link.readlink()) == device:
        link.unlink()
