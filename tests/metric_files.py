"""What config/ and its test data say about metrics, read without a parser of YAML: the files have one form."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
ALERTS = ROOT / "config" / "alerts.yml"
ALERT_TESTS = ROOT / "tests" / "data" / "alerts-test.yml"
DASHBOARD = ROOT / "config" / "grafana-dashboard.json"

_SELECTOR = re.compile(r"\b(terminald_[a-z0-9_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_SAMPLE = re.compile(r"([a-z0-9_]+)(?:\{(.*)\})? \S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule; what is missing is empty."""

    name: str
    expr: str
    lasts: str
    severity: str
    annotations: Mapping[str, str]


def alerts() -> tuple[Alert, ...]:
    """Return the rules, in their order."""
    _, *parts = ALERTS.read_text().split("- alert: ")
    return tuple(_alert(part) for part in parts)


def _alert(text: str) -> Alert:
    said = dict(re.findall(r'^\s+(\w+): "?(.*?)"?$', text, re.MULTILINE))
    severity = re.search(r"labels: \{severity: (\w+)\}", text)
    return Alert(
        name=text.splitlines()[0],
        expr=said["expr"],
        lasts=said.get("for", ""),
        severity=severity[1] if severity else "",
        annotations={name: said.get(name, "") for name in ("summary", "description", "remedy")},
    )


class Target(msgspec.Struct):
    """One query of a panel."""

    expr: str
    datasource: dict[str, str]
    refId: str  # noqa: N815 - Grafana's name


class Panel(msgspec.Struct):
    """One panel of the dashboard."""

    id: int
    type: str
    title: str
    gridPos: dict[str, int]  # noqa: N815 - Grafana's name
    targets: list[Target] = []


class Variable(msgspec.Struct):
    """What can be chosen above the panels."""

    name: str
    type: str
    definition: str = ""


class Templating(msgspec.Struct):
    """All of that."""

    list: list[Variable]


class Dashboard(msgspec.Struct):
    """What Grafana imports."""

    uid: str
    title: str
    panels: list[Panel]
    templating: Templating


def dashboard() -> Dashboard:
    """Return the dashboard."""
    json.loads(DASHBOARD.read_text())
    return msgspec.json.decode(DASHBOARD.read_bytes(), type=Dashboard)


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression, and where it stands."""
    for alert in alerts():
        yield alert.name, alert.expr
    shown = dashboard()
    for variable in shown.templating.list:
        yield f"variable {variable.name}", variable.definition
    for panel in shown.panels:
        for target in panel.targets:
            yield f"panel {panel.title!r}", target.expr
    for series in re.findall(r"series: '(.*?)'", ALERT_TESTS.read_text()):
        yield "alerts-test.yml", series


Samples = Mapping[str, tuple[Mapping[str, str], ...]]


def read_samples(text: str) -> Samples:
    """Return the labels of each sample, by its name."""
    found: dict[str, tuple[Mapping[str, str], ...]] = {}
    for line in text.splitlines():
        sample = _SAMPLE.fullmatch(line)
        if sample is not None:
            labels = {name: value for name, _, value in _MATCHER.findall(sample[2] or "")}
            found[sample[1]] = (*found.get(sample[1], ()), labels)
    return found


def unknown_in(expr: str, known: Samples, *, free: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what an expression asks for and no sample has: a name, a label, or a label's value.

    Instance is Prometheus's own label; the values of those that are free depend on the configuration.
    """
    for name, matchers in _SELECTOR.findall(expr):
        if name not in known:
            yield name
            continue
        for label, _, wanted in _MATCHER.findall(matchers):
            if label == "instance":
                continue
            values = {labels.get(label) for labels in known[name]}
            if values == {None}:
                yield f"{name}{{{label}}}"
            elif label not in free:
                yield from (f'{name}{{{label}="{one}"}}' for one in wanted.split("|") if one not in values)
