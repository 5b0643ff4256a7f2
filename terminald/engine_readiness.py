"""What the engine knows of the parts that a sale needs, put together."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from terminald.adapters.ports_devices import DeviceReport, DeviceState
from terminald.core.readiness import Condition, Hold
from terminald.core.schedule import Rules
from terminald.core.stimuli import NO_SALE, Record
from terminald.engine_commands import World
from terminald.engine_custody import CustodyKeeper
from terminald.engine_link import LinkMonitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the engine itself stands."""

    is_journal_writable: bool
    is_draining: bool
    hold: Hold


def rules_under(hold: Hold, rules: Rules) -> Rules:
    """Return the rules, with what holds beside them as long as an old journal is not compared."""
    return replace(rules, returns_overdue=False, is_restored=True) if hold.is_restored else rules


def changed(kind: str, subject: str, before: str, after: str) -> Record:
    """Return the record of a change that concerns no sale, such as ``DeviceChanged``."""
    cause = f"{kind.capitalize()}Changed"
    return Record(kind=kind, subject=subject, sale_id=NO_SALE, cause=cause, before=before, after=after)


def condition_of(
    world: World, keeper: CustodyKeeper, link: LinkMonitor, devices: Collection[DeviceReport], standing: Standing
) -> Condition:
    """Return what is known now."""
    ready = {report.kind for report in devices if report.state is DeviceState.READY}
    known = {report.kind: report for report in devices if report.state is not DeviceState.ABSENT}
    printer, output = known.get("printer"), known.get("output")
    return Condition(
        is_activated=keeper.custody is not None,
        is_key_accepted=not (link.is_key_refused or keeper.is_locked_out),
        is_key_alive=not keeper.is_expired,
        is_terminal_accepted=not link.is_terminal_refused,
        is_clock_trusted=world.clock.now().is_trusted,
        is_clock_in_the_way=link.is_clock_in_the_way,
        is_gateway_reachable=link.is_reachable,
        has_scanner="scanner" in ready,
        has_printer=printer is not None,
        printer_blocked_by=printer.blocked_by if printer else None,
        is_journal_writable=standing.is_journal_writable,
        is_restored=standing.hold.is_restored,
        has_disk_space=world.has_disk_space(),
        is_draining=standing.is_draining or standing.hold.is_asked,
        has_output=output is not None,
        is_inhibited=output is not None and output.state is DeviceState.FAULTY,
    )
