"""The host's list of a day: what is read from it, and how it is refused."""

from pathlib import Path

import pytest

from terminald.cli.host_list import MAX_BYTES, HostLine, read_host_list
from terminald.cli.outcome import WRONG_USAGE, CommandFailed


def written(directory: Path, text: str | bytes) -> Path:
    file = directory / "host.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def line(reference: str, paid: int, returned: int | None = None) -> HostLine:
    return HostLine(reference=reference, paid=paid, returned=returned)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("reference,paid\na,350\nb,4\n", (line("a", 350), line("b", 4))),
        ("reference,paid,returned\na,350,100\n", (line("a", 350, 100),)),
        # One decimal point makes the whole file one of yuan.
        ("reference,paid,returned\na,3.50,1\nb,4,\n", (line("a", 350, 100), line("b", 400, 0))),
        ("reference,paid,returned\na,350,0.5\n", (line("a", 35_000, 50),)),
        ("Reference, Paid\r\n a , 350 \r\n\r\n", (line("a", 350),)),
        ('\ufeffreference,paid\n"order, 7",350\n', (line("order, 7", 350),)),
        ("reference,paid\n订单-1,0\n", (line("订单-1", 0),)),
        ("reference,paid\n", ()),
        # A point in a reference says nothing about amounts.
        ("reference,paid\na.1,350\n", (line("a.1", 350),)),
    ],
)
def test_lists_are_read(tmp_path: Path, text: str, lines: tuple[HostLine, ...]) -> None:
    found = read_host_list(written(tmp_path, text))
    assert found.lines == lines
    assert found.has_returns == ("returned" in text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: expected the header reference,paid"),
        ("a,350\n", ":1: expected the header reference,paid"),
        ("reference,paid,returned,more\n", ":1: expected the header"),
        ("reference,paid\na\n", ":2: expected 2 columns, found 1"),
        ("reference,paid\na,1\nb,1,2\n", ":3: expected 2 columns, found 3"),
        ("reference,paid\na,1\n\na,2\n", ":4: expected a reference that is not empty and stands in no other line"),
        ("reference,paid\n ,1\n", ":2: expected a reference"),
        ("reference,paid\na,-1\n", ":2: '-1' is not an amount"),
        ("reference,paid\na,3.505\n", ":2: '3.505' is not an amount"),
        ("reference,paid\na,3e2\n", ":2: '3e2' is not an amount"),
        ("reference,paid\na,￥3\n", ":2: '￥3' is not an amount"),
        ("reference,paid\na," + "x" * 9000, ":2: '" + "x" * 40 + "…' is not an amount"),
        ("reference,paid\na,9999999999.00\n", ":2: '9999999999.00' is more than any payment"),
        ('reference,paid\n"a,350\n', "is not a CSV file in UTF-8"),
        (b"reference,paid\n\xff,1\n", "is not a CSV file in UTF-8"),
        (b"reference,paid\n" + b" " * MAX_BYTES, f"is larger than {MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_list_is_wrong_usage(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        read_host_list(written(tmp_path, text))
    assert says in str(refused.value)
    assert refused.value.code == WRONG_USAGE


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"none\.csv can not be read: No such file"):
        read_host_list(tmp_path / "none.csv")
