"""The disk of a fresh terminal: Debian 12 or 13 with its own kernel, systemd and udev, and what the package depends on.

It is built once with the package mirror that this machine's apt is set to, needs root, and lies in the user's cache
directory. Nothing of terminald is in it: that is what the scenarios install.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: The names of the releases, as the mirror has them.
SUITES = {"12": "bookworm", "13": "trixie"}
SIZE = "1200M"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: As QEMU's user network has it: the guest, and this machine's loopback. There is no route to anything else.
GUEST_ADDRESS, HOST_ADDRESS = "10.0.2.15/24", "10.0.2.2"
#: The names of the devices that the guest knows, and this machine.
HOST_NAME = "gateway"

PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "kmod", "iproute2", "procps", "netbase", "ca-certificates", "qemu-guest-agent"),
    *("linux-image-amd64", "initramfs-tools", "zstd"),
)
#: Would do nothing here but take time.
MASKED = (
    *(
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
    ),
    *("fstrim.timer", "systemd-firstboot.service", "systemd-networkd-wait-online.service"),
)
LEFT_OUT = ("doc", "locale", "info")
FILES = {
    "etc/hostname": "terminal\n",
    "etc/hosts": f"127.0.0.1 localhost terminal\n{HOST_ADDRESS} {HOST_NAME}\n",
    "etc/fstab": "/dev/vda / ext4 defaults,errors=remount-ro 0 1\n",
    "etc/machine-id": "4c0e7a1d9b3f4f5e8a6b2c1d0e9f8a7b\n",
    "etc/systemd/network/10-eth0.network": (
        f"[Match]\nName=eth0\n[Network]\nAddress={GUEST_ADDRESS}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    ),
    # It logs a line each time a command is looked after.
    "etc/systemd/system/qemu-guest-agent.service.d/quiet.conf": "[Service]\nLogLevelMax=warning\n",
    # Only these are unpacked by the emulated processor at each boot.
    "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=gzip\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
    # Apt would look for the network.
    "etc/apt/sources.list": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a machine boots: the disk is copied for each."""

    kernel: Path
    initrd: Path
    disk: Path


def cache_directory() -> Path:
    """Return where images are kept: ``$TERMINALD_VM_CACHE``, else in the user's cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TERMINALD_VM_CACHE") or base / "terminald-vm")


def dependencies(package: Path) -> list[str]:
    """Return the names of the packages that a package depends on."""
    said = subprocess.run(
        ["/usr/bin/dpkg-deb", "--field", package, "Depends"], capture_output=True, text=True, check=True
    )
    return sorted({re.split(r"[ (|]", each.strip())[0] for each in said.stdout.split(",")})


def build_image(release: str, needed: Sequence[str]) -> Image:
    """Return the image of a release that has these packages, from the cache where it is there."""
    suite = SUITES[release]
    recipe = json.dumps([suite, SIZE, PACKAGES, LEFT_OUT, MASKED, FILES, sorted(needed)])
    image = cache_directory() / f"image-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not image.is_dir():
        image.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="building-", dir=image.parent) as made:
            work = Path(made, "image")
            work.mkdir()
            _build(work, Path(made, "root"), suite, [*PACKAGES, *needed])
            work.rename(image)
    return Image(kernel=image / "vmlinuz", initrd=image / "initrd.img", disk=image / "disk.raw")


def _build(work: Path, root: Path, suite: str, packages: Sequence[str]) -> None:
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", f"--include={','.join(packages)}"]
    command += ['--aptopt=APT::Install-Recommends "false"']
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    command += [suite, str(root), f"deb [signed-by={KEYRING}] {_mirror()} {suite} main"]
    _run(*command)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "var/log/journal").mkdir(exist_ok=True)  # the log outlives a boot
    _run("chroot", str(root), "systemctl", "--quiet", "set-default", "multi-user.target")
    _run("chroot", str(root), "systemctl", "--quiet", "enable", "systemd-networkd.service")
    _run("chroot", str(root), "systemctl", "--quiet", "mask", *MASKED)
    _run("chroot", str(root), "update-initramfs", "-u", "-k", "all")
    for kind in ("vmlinuz", "initrd.img"):
        (found,) = (root / "boot").glob(f"{kind}-*")
        shutil.move(found, work / kind)
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(root), str(work / "disk.raw"), SIZE)


def _mirror() -> str:
    known = subprocess.run(
        ["/usr/bin/apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line.rstrip("/") for line in known.stdout.split() if line.rstrip("/").endswith("/debian")]
    if not found:
        raise RuntimeError("this machine's apt knows no Debian mirror: apt-get update")
    return found[0]


def _run(*argv: str) -> None:
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
