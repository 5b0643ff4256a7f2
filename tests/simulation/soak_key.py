"""Live through many years of the key on all cores: ``python -m tests.simulation.soak_key SEEDS``.

Exit code 1 on a violation, and when something that should be done to the terminals never was. With ``--seed N`` one
year is lived, and what happened before each of its violations is told.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.agenda import HOUR
from tests.simulation.key_script import DAYS, PROFILES, SELDOM_LINKED
from tests.simulation.key_year import FAULTS, Year, fast_directory, live_year

#: With fewer seeds than these a rare fault may be missing.
ALL_FAULTS = 100


def live(seed: int) -> Year:
    """Live one year in a directory of its own."""
    logging.disable()
    with tempfile.TemporaryDirectory(dir=fast_directory()) as directory:
        return live_year(seed, Path(directory) / "journal.db")


def tell(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")


def replay(seed: int) -> int:
    """Live one year, and tell its violations."""
    year = live(seed)
    tell(f"seed {seed}, {year.profile}: {len(year.violations)} violations")
    for violation in year.violations:
        tell(f"\n{violation.text}")
        for line in violation.story:
            tell(f"  {line}")
    return 1 if year.violations else 0


def soak(seeds: int) -> int:
    """Live many years, and sum them up."""
    years, began = list[Year](), time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for year in pool.map(live, range(seeds), chunksize=4):
            years.append(year)
            for violation in year.violations:
                tell(f"\rseed {year.seed}, {year.profile}: {violation.text}")
                tell(f"  replay it: make soak-key SEED={year.seed}")
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{len(years)}/{seeds} years, {time.monotonic() - began:.0f} s ")
    if sys.stderr.isatty():
        sys.stderr.write("\r")
    missing = summarise(years)
    violations = sum(len(year.violations) for year in years)
    if missing:
        tell(f"\nnever happened: {', '.join(missing)}")
    tell(f"\n{seeds} years, {violations} violations, {time.monotonic() - began:.0f} s")
    return 1 if violations or missing else 0


def summarise(years: list[Year]) -> list[str]:
    """Tell what was done and what came of it; return what never happened."""
    faults = sum((year.faults for year in years), Counter[str]())
    table("what was done to the terminals", ((name, f"{faults[name]}") for name in FAULTS))
    counts = sum((year.counts for year in years), Counter[str]())
    table("what they did", ((name, f"{count}") for name, count in sorted(counts.items())))
    tell(
        "\nlock-outs: all, unavoidable by the rules, announced, and those of terminals that had power and link for half"
    )
    tell("an hour in every 48 hours")
    lock_outs = [one for year in years for one in year.lock_outs]
    for reason, count in Counter(one.reason for one in lock_outs).most_common():
        those = [one for one in lock_outs if one.reason == reason]
        unavoidable = sum(one.is_unavoidable for one in those)
        announced = sum(one.is_announced for one in those)
        in_reach = sum(one.is_in_reach for one in those)
        tell(f"  {count:7} {unavoidable:7} {announced:7} {in_reach:7}  {reason.value}")
    tell("\nterminals: years, check-ins a day, lock-outs a year, least life left of a key at its renewal: where no")
    tell("outage was longer than a night, and of all")
    for profile in (*PROFILES, SELDOM_LINKED):
        those_years = [year for year in years if year.profile == profile.name]
        if those_years:
            tell(f"  {_terminals(those_years)}  {profile.name}")
    return [name for name in FAULTS if not faults[name]] if len(years) >= ALL_FAULTS else []


def _terminals(years: list[Year]) -> str:
    checkins = sum(year.counts["check-ins"] for year in years) / len(years) / DAYS
    lock_outs = sum(len(year.lock_outs) for year in years) / len(years)
    ordinary = min(year.least_left_ordinary for year in years) / HOUR
    left = min(year.least_left for year in years) / HOUR
    return f"{len(years):5} {checkins:7.2f} {lock_outs:7.2f} {ordinary:6.1f} h {left:6.1f} h"


def table(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Tell numbers with their names."""
    tell(f"\n{title}")
    for name, count in rows:
        tell(f"  {count:>9}  {name}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak_key", description="Years of the terminal's key on virtual time.")
    parser.add_argument("seeds", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, help="live this year only, and tell what happened before a violation")
    arguments = parser.parse_args()
    return soak(arguments.seeds) if arguments.seed is None else replay(arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
