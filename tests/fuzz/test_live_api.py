"""The daemon itself on its Unix socket, called as its own OpenAPI document says and as it does not.

Each operation of the document is called with what fits its schema, and with what does not. Whatever comes back is
documented: its status, its media type, its shape. What does not fit is refused.
"""

import contextlib
import datetime as dt
import json
import operator
from collections.abc import Iterator
from typing import Any, Final, cast

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks

from terminald.wire.openapi import openapi_json
from tests.system.rig import Bench, bench

pytestmark = pytest.mark.system

CODE: Final = "130812345678912300"
#: For each operation, and each of fitting and not fitting.
EXAMPLES: Final = 12
#: What else schemathesis checks is not promised: that fitting requests are accepted (a sale may be in another state),
#: or is a matter of TCP (the token).
WANTED: Final = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
Made = Case[Any]
load_all_checks()
CHECKED: Final = cast("list[CheckFunction]", list(CHECKS.get_by_names(WANTED)))
DOCUMENT: Final = schemathesis.openapi.from_dict(json.loads(openapi_json("0")))
OPERATIONS: Final = {found.label: found for found in map(operator.methodcaller("ok"), DOCUMENT.get_all_operations())}
FITTING, UNFIT = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
#: Of calls that take nothing there is nothing that does not fit; see the test of names that are in no document.
CASES: Final = [
    (label, mode)
    for label, found in OPERATIONS.items()
    for mode in GenerationMode
    if mode is FITTING or found.body or found.query or found.path_parameters or found.headers
]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A daemon that sells, with a sale that was paid and one that waits for its code."""
    with bench(tmp_path_factory.mktemp("live")) as made:
        made.start()
        made.wait_ready()
        assert made.open_sale("paid").status_code == 201
        assert made.api.post("/v1/sales/paid/payment-code", json={"code": CODE}).status_code == 200
        made.wait_state("paid", "completed")
        assert made.open_sale("waits").status_code == 201
        yield made


def send(terminal: Bench, case: Made) -> httpx.Response | None:
    """Send a request as it was made; of a stream only the head is read. None: not a request of HTTP."""
    try:
        made = requests.Request(**case.as_transport_kwargs(base_url="http://terminald")).prepare()
        body = made.body if isinstance(made.body, bytes | str) else b""
        request = terminal.api.build_request(
            str(made.method),
            str(made.url),
            headers={name: str(value) for name, value in made.headers.items()},
            content=body,
        )
        response = terminal.api.send(request, stream=True)
    except (ValueError, requests.RequestException):
        return None
    with contextlib.closing(response):
        if "text/event-stream" not in response.headers.get("Content-Type", ""):
            response.read()
            return response
        head = httpx.Response(response.status_code, headers=response.headers, content=b"", request=request)
        head.elapsed = dt.timedelta(0)
        return head


@pytest.mark.parametrize(("label", "mode"), CASES, ids=lambda value: getattr(value, "value", value))
def test_each_operation_answers_as_documented(terminal: Bench, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]
    sent = 0

    @settings(max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        case=operation.as_strategy(generation_mode=mode),
        name=st.sampled_from(("paid", "waits", "nobody", None)),
    )
    def call(case: Made, name: str | None) -> None:
        nonlocal sent
        if name is not None and mode is FITTING and "id" in case.path_parameters:
            case.path_parameters["id"] = name
        response = send(terminal, case)
        if response is None:
            return
        sent += 1
        assert response.status_code not in (500, 501, 502), response.text
        # A parameter without a value is one that is missing, and Last-Event-ID wins over since.
        sent_query = response.request.url.params
        is_open = "" in sent_query.values() or ({"since"} == set(sent_query) and case.headers)
        case.validate_response(response, checks=CHECKED[: -1 if is_open else None])

    call()
    assert sent, "nothing was sent"


@pytest.mark.parametrize("label", OPERATIONS)
def test_a_name_that_is_in_no_document_is_refused(terminal: Bench, label: str) -> None:
    method, path = label.split()
    answer = terminal.api.request(method, path.replace("{id}", "paid"), params={"color": "red"})
    assert (answer.status_code, answer.json()["field"]) == (422, "color")


def test_the_document_that_is_served_is_the_one_that_is_tried(terminal: Bench) -> None:
    assert terminal.api.get("/v1/openapi.json").json()["paths"] == json.loads(openapi_json("0"))["paths"]


def test_the_daemon_lives_and_has_nothing_to_tell(terminal: Bench) -> None:
    """After all of the others."""
    terminal.api.post("/v1/resume")
    assert terminal.is_alive()
    assert terminal.api.get("/v1/health").json()["healthy"] is True
    said = terminal.log.read_text(errors="replace")
    assert "Traceback" not in said
    assert CODE not in said
    assert terminal.stop() == 0
