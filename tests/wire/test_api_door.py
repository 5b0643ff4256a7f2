"""The rules of the loopback port, one by one: what comes in, and what a page is told when it does not."""

import pytest

from terminald.core.ids import Secret
from terminald.wire.api_door import Admission, Headers, Terms, admit, hosts, media_type

TOKEN = "t0ken-of-32-characters-and-more-x"
PAGE = "http://localhost:8080"
PLACE = ("127.0.0.1", 8765)
TERMS = Terms(origins=frozenset({PAGE, "https://till.example"}), token=Secret(TOKEN))

HOST = (b"host", b"127.0.0.1:8765")
RIGHT = (b"authorization", b"Bearer " + TOKEN.encode())
JSON = (b"content-type", b"application/json")
ORIGIN = (b"origin", PAGE.encode())
PREFLIGHT = (b"access-control-request-method", b"POST")


def judged(*headers: tuple[bytes, bytes], method: str = "GET", terms: Terms = TERMS) -> Admission:
    return admit(method, headers, place=PLACE, terms=terms)


def code(admission: Admission) -> str | None:
    return None if admission.refusal is None else admission.refusal.code


def told(admission: Admission) -> dict[str, str]:
    return dict(admission.headers)


# --- Host: DNS rebinding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"127.0.0.1:8765", b"localhost:8765", b"LocalHost:8765"])
def test_the_place_itself_and_localhost_are_meant(host: bytes) -> None:
    assert code(judged((b"host", host), RIGHT)) is None


@pytest.mark.parametrize(
    "host",
    [
        *(b"rebind.example:8765", b"rebind.example", b"127.0.0.1", b"localhost", b"127.0.0.1:80", b"localhost:87650"),
        *(b"localhost.:8765", b"127.0.0.1.rebind.example:8765", b"localhost:8765.rebind.example", b"[::1]:8765"),
        *(b"127.1:8765", b"2130706433:8765", b"0.0.0.0:8765", b"", b"localhost:8765, rebind.example", b"\xff:8765"),
        *(b" localhost:8765", b"user@localhost:8765", b"127.0.0.2:8765", b"localhost:+8765", b"localhost:08765"),
    ],
)
def test_every_other_name_is_refused_even_with_the_token_and_reads_nothing(host: bytes) -> None:
    found = judged((b"host", host), RIGHT, ORIGIN, JSON, method="POST")
    assert code(found) == "host_not_allowed"
    assert found.headers == ()


@pytest.mark.parametrize("headers", [(), ((b"host", b"localhost:8765"), (b"host", b"localhost:8765"))])
def test_one_host_is_named(headers: Headers) -> None:
    assert code(admit("GET", [*headers, RIGHT], place=PLACE, terms=TERMS)) == "host_not_allowed"


def test_the_names_are_those_of_the_place() -> None:
    assert hosts(("::1", 8765)) == ("[::1]:8765", "localhost:8765")
    assert hosts(("127.0.0.1", 80)) == ("127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost")


def test_a_long_or_strange_name_is_told_on_one_short_line() -> None:
    found = judged((b"host", b"x\r\ny" * 1000))
    assert found.refusal is not None
    assert len(found.refusal.detail) < 300
    assert found.refusal.detail.isprintable()


# --- Origin: pages of others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [PAGE, "https://till.example"])
def test_a_page_of_an_allowed_origin_comes_in_and_may_read(origin: str) -> None:
    found = judged(HOST, RIGHT, (b"origin", origin.encode()))
    assert code(found) is None
    assert told(found) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Location, Allow, WWW-Authenticate",
    }


@pytest.mark.parametrize(
    "origin",
    [
        *(b"http://localhost:8081", b"http://localhost", b"https://localhost:8080", b"http://LOCALHOST:8080", b"null"),
        *(b"http://localhost:8080/", b"http://localhost:8080.evil.example", b"http://evil.example", b"", b"*"),
        *(b"http://till.example", b"https://till.example:443", b"http://localhost:8765", b"file://"),
    ],
)
def test_every_other_page_is_refused_even_with_the_token_and_reads_nothing(origin: bytes) -> None:
    for method, more in (("GET", ()), ("POST", (JSON,)), ("OPTIONS", (PREFLIGHT,))):
        found = judged(HOST, RIGHT, (b"origin", origin), *more, method=method)
        assert code(found) == "origin_not_allowed"
        assert found.headers == ()


def test_two_origins_are_none() -> None:
    assert code(judged(HOST, RIGHT, ORIGIN, ORIGIN)) == "origin_not_allowed"


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
def test_a_browser_that_does_not_say_which_page_asks_is_refused(site: bytes) -> None:
    """Pictures, scripts and frames are asked for in this way."""
    assert code(judged(HOST, RIGHT, (b"sec-fetch-site", site))) == "origin_not_allowed"


@pytest.mark.parametrize("site", [b"same-origin", b"none"])
def test_behind_a_proxy_of_the_pages_own_origin_a_browser_says_no_origin(site: bytes) -> None:
    assert code(judged(HOST, RIGHT, (b"sec-fetch-site", site))) is None


def test_a_program_is_no_page() -> None:
    found = judged(HOST, RIGHT, JSON, method="POST")
    assert code(found) is None
    assert told(found) == {"Vary": "Origin"}


def test_without_allowed_origins_there_are_programs_only() -> None:
    terms = Terms(token=Secret(TOKEN))
    assert code(judged(HOST, RIGHT, terms=terms)) is None
    assert code(judged(HOST, RIGHT, ORIGIN, terms=terms)) == "origin_not_allowed"


# --- preflights ------------------------------------------------------------------------------------------------------


def test_a_browser_may_ask_before_it_sends_the_token() -> None:
    found = judged(HOST, ORIGIN, PREFLIGHT, method="OPTIONS")
    assert found.is_preflight
    assert code(found) is None
    assert told(found) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
        "Access-Control-Max-Age": "600",
    }


def test_a_browser_may_ask_whether_a_private_address_may_be_called() -> None:
    private = (b"access-control-request-private-network", b"true")
    found = judged(HOST, ORIGIN, PREFLIGHT, private, method="OPTIONS")
    assert told(found)["Access-Control-Allow-Private-Network"] == "true"


def test_no_answer_names_all_origins_or_takes_cookies() -> None:
    for method, more in (("GET", (RIGHT,)), ("GET", ()), ("OPTIONS", (PREFLIGHT,)), ("POST", (RIGHT,))):
        found = told(judged(HOST, ORIGIN, *more, method=method))
        assert found["Access-Control-Allow-Origin"] == PAGE
        assert "Access-Control-Allow-Credentials" not in found


@pytest.mark.parametrize("headers", [(ORIGIN,), (PREFLIGHT,), ()])
def test_what_only_looks_like_a_preflight_needs_the_token(headers: Headers) -> None:
    assert code(judged(HOST, *headers, method="OPTIONS")) == "unauthorized"


# --- the token -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_lets_in(scheme: str) -> None:
    assert code(judged(HOST, (b"authorization", f"{scheme} {TOKEN}".encode()))) is None


@pytest.mark.parametrize(
    "value",
    [
        *("", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x"),
        *(f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN},{TOKEN}", f"Bearer\t{TOKEN}", "Bearer é", f"Token {TOKEN}"),
    ],
)
def test_nothing_else_lets_in_and_a_page_of_ours_may_read_so(value: str) -> None:
    found = judged(HOST, ORIGIN, (b"authorization", value.encode("latin-1")))
    assert code(found) == "unauthorized"
    assert told(found)["WWW-Authenticate"] == 'Bearer realm="terminald"'
    assert told(found)["Access-Control-Allow-Origin"] == PAGE


def test_a_missing_token_is_told_as_missing_and_two_as_wrong() -> None:
    for headers, said in (((), "is missing"), ((RIGHT, RIGHT), "does not hold")):
        found = judged(HOST, *headers)
        assert found.refusal is not None
        assert said in found.refusal.detail
        assert TOKEN not in found.refusal.detail


@pytest.mark.parametrize("value", [b"Bearer ", b"Bearer", b"Bearer x", RIGHT[1]])
def test_without_a_token_of_its_own_it_lets_nobody_in(value: bytes) -> None:
    assert code(judged(HOST, (b"authorization", value), terms=Terms())) == "unauthorized"


def test_terms_do_not_show_the_token() -> None:
    """I7."""
    assert TOKEN not in repr(TERMS)


# --- the media type --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"application/json", b"Application/JSON; charset=utf-8", b"application/json "])
def test_a_post_says_that_it_is_json(value: bytes) -> None:
    assert code(judged(HOST, RIGHT, (b"content-type", value), method="POST")) is None


@pytest.mark.parametrize(
    "value",
    [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b"", b"application/jsonp", b"json"],
)
def test_what_a_form_could_send_is_refused_even_with_the_token(value: bytes) -> None:
    found = judged(HOST, ORIGIN, RIGHT, (b"content-type", value), method="POST")
    assert code(found) == "unsupported_media_type"
    assert told(found)["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("headers", [(), (JSON, JSON)])
def test_one_media_type_is_said(headers: Headers) -> None:
    assert code(judged(HOST, RIGHT, *headers, method="POST")) == "unsupported_media_type"


def test_a_get_has_no_media_type() -> None:
    assert code(judged(HOST, RIGHT, (b"content-type", b"text/plain"))) is None


def test_parameters_do_not_belong_to_a_media_type() -> None:
    assert media_type(" Text/Plain ; charset=x") == "text/plain"
