"""A terminal's hardware in QEMU, under software emulation.

Two USB serial converters (a scanner and a printer at their far ends), a USB keyboard that is a scanner too, a hardware
watchdog, a disk with a volatile write cache, a clock that may start wrong, and of all networks this machine's loopback.
"""

import io
import json
import shutil
import subprocess
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from tests.vm.control import Agent, MachineError, Monitor, Result
from tests.vm.disk import Cut, Disk, Loss
from tests.vm.image import Image

Device = Literal["scanner", "printer", "keyboard"]

#: A serial number gives a device its own name under /dev/serial/by-id and /dev/input/by-id.
USB: dict[Device, dict[str, object]] = {
    "scanner": {
        "driver": "usb-serial",
        "chardev": "scanner",
        "always-plugged": True,
        "serial": "SCANNER1",
        "port": "1",
    },
    "printer": {
        "driver": "usb-serial",
        "chardev": "printer",
        "always-plugged": True,
        "serial": "PRINTER1",
        "port": "2",
    },
    "keyboard": {"driver": "usb-kbd", "serial": "KEYBOARD1", "port": "3"},
}
SCANNER = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_SCANNER1-if00-port0"
PRINTER = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_PRINTER1-if00-port0"
KEYBOARD = "/dev/input/by-id/usb-QEMU_QEMU_USB_Keyboard_KEYBOARD1-event-kbd"
KEYBOARD_ID = "0627:0001"

#: How long a boot may take on a machine that does other work too; alone it is 25 s.
BOOT_S = 600
#: QEMU keeps 16 keys for the guest, and drops what comes on top without a word.
KEY_S = 0.03
#: What the agent takes at once.
_PART = 4 << 20

_KERNEL = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet panic=0 mitigations=off audit=0 nokaslr tsc=reliable "
    "no_timer_check"
)


class Machine:
    """One machine. Its disk lives in its directory, over any number of boots."""

    def __init__(self, directory: Path, image: Image) -> None:
        """Nothing is switched on yet."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._image = directory, image
        self._disk = Disk(directory, image.disk)
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None
        self._agent = Agent(directory / "agent.sock")

    @property
    def monitor(self) -> Monitor:
        """QEMU's control socket."""
        if self._monitor is None:
            raise MachineError("not running")
        return self._monitor

    def device(self, name: Device) -> Path:
        """Return the socket that is the far end of a serial device; one connection at a time.

        It has to be read: QEMU as a whole waits for a reader once some 40 kB are under way.
        """
        return self._directory / f"{name}.sock"

    # --- power -------------------------------------------------------------------------------------------------------

    def boot(self, *, clock: str = "") -> None:
        """Switch on, and wait until systemd has started what there is; the clock is as UTC, by default right."""
        if self._process is not None:
            raise MachineError("already running")
        self._disk.prepare()
        with (self._directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(self._command_line(clock), stdout=log, stderr=log)
        try:
            self._monitor = Monitor(self._directory / "monitor.sock")
        except (MachineError, OSError) as exc:
            self._end()
            raise MachineError((self._directory / "qemu.log").read_text()[-2000:]) from exc
        self.wait_booted()

    def wait_booted(self) -> None:
        """Wait until systemd has started what there is; also after a reset."""
        deadline = time.monotonic() + BOOT_S
        self._agent.sync(BOOT_S)
        while time.monotonic() < deadline:
            state = self.run("systemctl is-system-running --wait", timeout_s=BOOT_S).output.strip()
            if state in ("running", "degraded"):
                self.run("udevadm settle --timeout=60", timeout_s=70)  # drivers are loaded after systemd is done
                return
            time.sleep(0.2)
        raise MachineError(f"not booted within {BOOT_S} s")

    def shut_down(self) -> None:
        """Switch off in order."""
        if self._process is None:
            raise MachineError("not running")
        with suppress(MachineError):  # it may end before it answers
            self.run("systemctl poweroff --no-block")
        try:
            self._process.wait(120)
        finally:
            self._end()
        self._disk.settle(Loss.NONE)

    def cut_power(self, loss: Loss, seed: int = 0) -> Cut:
        """Stop everything at once; of what the disk had not flushed, this much is lost."""
        self._end()
        return self._disk.settle(loss, seed)

    def remove(self) -> None:
        """Switch off where it is on; its disk goes."""
        self._end()
        shutil.rmtree(self._directory)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._agent.close()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        for path in self._directory.glob("*.sock"):
            path.unlink()

    def _command_line(self, clock: str) -> list[str]:
        no_flush = {"no-flush": True}  # of this machine's own disk: a cut here ends QEMU, and not the host
        blocks = [
            {"driver": "file", "node-name": "file", "filename": str(self._disk.running), "cache": no_flush},
            {"driver": "qcow2", "node-name": "run", "file": "file", "cache": no_flush},
            {"driver": "file", "node-name": "log", "filename": str(self._disk.log), "cache": no_flush},
            {"driver": "blklogwrites", "node-name": "disk", "file": "run", "log": "log", "log-sector-size": 512},
        ]
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"]
        argv += ["-machine", "pc,usb=off,smbus=off,hpet=off,vmport=off,i8042=off"]
        # One processor: with two, a busy emulator lost a race with a kernel that changes its own code (Oops: int3).
        argv += ["-accel", "tcg,tb-size=256", "-cpu", "Nehalem", "-smp", "1", "-m", "1024"]
        argv += ["-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd), "-append", _KERNEL]
        argv += ["-rtc", f"base={clock},clock=vm" if clock else "base=utc,clock=host"]
        for block in blocks:
            argv += ["-blockdev", json.dumps(block)]
        argv += ["-device", "virtio-blk-pci,drive=disk,write-cache=on"]
        argv += ["-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile="]
        argv += ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng"]
        argv += ["-chardev", f"file,id=console,path={self._directory / 'console.log'},append=on"]
        argv += ["-serial", "chardev:console"]
        for name in ("monitor", "agent", "scanner", "printer"):
            argv += ["-chardev", f"socket,id={name},path={self._directory / name}.sock,server=on,wait=off"]
        argv += ["-mon", "chardev=monitor,mode=control", "-device", "virtio-serial-pci"]
        argv += ["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]
        argv += ["-device", "i6300esb", "-action", "watchdog=reset,panic=none", "-device", "qemu-xhci,id=usb"]
        for name in USB:
            argv += ["-device", json.dumps(_usb(name))]
        return argv

    # --- in the guest ------------------------------------------------------------------------------------------------

    def run(self, command: str, *, timeout_s: float = 90, stdin: bytes = b"") -> Result:
        """Run a shell command as root."""
        return self._agent.run(command, timeout_s=timeout_s, stdin=stdin)

    def check(self, command: str, *, timeout_s: float = 90, stdin: bytes = b"") -> str:
        """Run a shell command that has to succeed; return its output, stripped."""
        result = self.run(command, timeout_s=timeout_s, stdin=stdin)
        if result.code:
            raise MachineError(f"exit code {result.code}: {command}\n{result.output}")
        return result.output.strip()

    def copy(self, file: Path, directory: str) -> str:
        """Copy a file into a directory of the guest; return its path there."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(file, arcname=file.name)
        data = packed.getvalue()
        self.check("rm -f /run/copied")
        for at in range(0, len(data), _PART):
            self.check("cat >>/run/copied", stdin=data[at : at + _PART])
        self.check(f"mkdir -p {directory} && tar -C {directory} --no-same-owner -xf /run/copied && rm /run/copied")
        return f"{directory}/{file.name}"

    # --- devices -----------------------------------------------------------------------------------------------------

    def unplug(self, name: Device) -> None:
        """Pull a USB device."""
        since = len(self.monitor.events)
        self.monitor.command("device_del", id=name)
        self.monitor.wait_event("DEVICE_DELETED", since=since, device=name)

    def plug(self, name: Device) -> None:
        """Plug it in again."""
        self.monitor.command("device_add", **_usb(name))

    def type(self, digits: str) -> None:
        """Type digits and Enter on the keyboard."""
        for key in [*digits, "ret"]:
            strokes = [
                {"type": "key", "data": {"down": is_down, "key": {"type": "qcode", "data": key}}}
                for is_down in (True, False)
            ]
            self.monitor.command("input-send-event", events=strokes)
            time.sleep(KEY_S)


def _usb(name: Device) -> dict[str, object]:
    return {**USB[name], "id": name, "bus": "usb.0"}
