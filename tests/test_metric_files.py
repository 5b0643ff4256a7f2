"""The example rules and the dashboard: whole, and about metrics that exist."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from terminald.cli import outcome
from terminald.cli.arguments import parse
from terminald.wire.metrics import Family, Sample, encode
from tests.every_metric import families
from tests.metric_files import (
    ALERT_TESTS,
    ALERTS,
    ROOT,
    Alert,
    alerts,
    dashboard,
    expressions,
    read_samples,
    unknown_in,
)

PROMTOOL = shutil.which("promtool")
WITH_PROMTOOL = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: package prometheus)")
README = (ROOT / "README.md").read_text()
EACH_ALERT = pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert.name))


def promtool(*arguments: str, cwd: Path = ROOT, stdin: bytes = b"") -> None:
    done = subprocess.run([str(PROMTOOL), *arguments], check=False, cwd=cwd, capture_output=True, input=stdin)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


# --- rules -----------------------------------------------------------------------------------------------------------


@EACH_ALERT
def test_a_rule_says_how_bad_it_is_what_it_means_and_what_to_do(alert: Alert) -> None:
    assert re.fullmatch(r"Terminald([A-Z][a-z]+)+", alert.name)
    assert alert.severity in ("critical", "warning")
    assert all(alert.annotations.values())
    assert "{{ $labels.instance }}: " in alert.annotations["summary"]


@EACH_ALERT
def test_a_rule_does_not_fire_for_a_moment(alert: Alert) -> None:
    """It waits, or looks at a stretch of time."""
    assert alert.lasts or re.search(r"\[[0-9]+[mhd]\]", alert.expr)


@EACH_ALERT
def test_what_a_rule_tells_to_type_exists(alert: Alert, capsys: pytest.CaptureFixture[str]) -> None:
    for command, option in re.findall(r"\bterminald ([a-z]+)(?: (--[a-z]+))?", alert.annotations["remedy"]):
        assert parse([command, "--help"]) == outcome.DONE
        assert option in capsys.readouterr().out
    for chapter in re.findall(r"chapter ([A-Z][a-z ]+)", alert.annotations["remedy"]):
        assert re.search(rf"^#+ {chapter.strip()}", README, re.MULTILINE)


def test_every_rule_has_a_terminal_with_that_trouble() -> None:
    tested = re.findall(r'alertname="(\w+)"', ALERT_TESTS.read_text())
    assert set(tested) == {alert.name for alert in alerts()}
    assert len({alert.name for alert in alerts()}) == len(alerts())


@WITH_PROMTOOL
def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))


@WITH_PROMTOOL
def test_each_rule_fires_for_its_trouble_and_none_for_a_terminal_that_is_well() -> None:
    promtool("test", "rules", ALERT_TESTS.name, cwd=ALERT_TESTS.parent)


# --- the dashboard ---------------------------------------------------------------------------------------------------


def test_panels_have_their_own_place_and_number() -> None:
    panels = dashboard().panels
    assert len({panel.id for panel in panels}) == len(panels)
    for panel in panels:
        at = panel.gridPos
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24, panel.title
        assert bool(panel.targets) == (panel.type != "row"), panel.title
        assert len({target.refId for target in panel.targets}) == len(panel.targets)
    for one, other in combinations((panel.gridPos for panel in panels), 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_above, (one, other)


def test_the_data_source_and_the_terminal_are_chosen_above_the_panels() -> None:
    shown = dashboard()
    assert [(one.name, one.type) for one in shown.templating.list] == [
        ("datasource", "datasource"),
        ("terminal", "query"),
    ]
    for panel in shown.panels:
        assert all(target.datasource["uid"] == "${datasource}" for target in panel.targets)


def test_below_the_fleet_there_is_one_terminal() -> None:
    fleet, terminal = ([], [])  # type: tuple[list[str], list[str]]
    into = fleet
    for panel in dashboard().panels:
        into = terminal if panel.type == "row" and "$terminal" in panel.title else into
        into.extend(target.expr for target in panel.targets)
    assert fleet
    assert terminal
    assert not [expr for expr in fleet if "$terminal" in expr]
    assert not [expr for expr in terminal if 'instance="$terminal"' not in expr]


@WITH_PROMTOOL
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    queries = [expr.replace("$__rate_interval", "5m") for where, expr in expressions() if where.startswith("panel")]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))  # which is YAML as well
    promtool("check", "rules", str(file))


# --- both ------------------------------------------------------------------------------------------------------------


def test_no_expression_asks_for_what_there_is_not() -> None:
    """Of the metrics as they are put together; the running daemon is compared in tests/system/test_metrics.py."""
    known = read_samples(encode(map(with_a_sample, families())).decode())
    found = [(where, one) for where, expr in expressions() for one in unknown_in(expr, known, free=FREE)]
    assert found == []


#: Of a histogram that has not seen anything the labels are not known, and of devices the names.
FREE = frozenset({"call", "le", "name", "kind"})


def with_a_sample(family: Family) -> Family:
    if family.samples:
        return family
    labels = (("call", ""), ("name", ""), ("kind", ""), ("le", "1"))
    suffixes = ("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",)
    samples = tuple(Sample(value=0, labels=labels, suffix=suffix) for suffix in suffixes)
    return Family(name=family.name, help=family.help, kind=family.kind, samples=samples)


def test_what_is_asked_for_and_not_there_is_found() -> None:
    known = read_samples('x 1\nterminald_a{reason="paper_out"} 1\n')
    assert list(unknown_in('terminald_a{reason=~"paper_out|cover_open", instance="$terminal"} > 0', known)) == [
        'terminald_a{reason="cover_open"}'
    ]
    assert list(unknown_in("terminald_b + terminald_a", known)) == ["terminald_b"]
    assert list(unknown_in('terminald_a{state!="x"}', known)) == ["terminald_a{state}"]


@WITH_PROMTOOL
def test_prometheus_reads_the_metrics() -> None:
    promtool("check", "metrics", stdin=encode(families()))
