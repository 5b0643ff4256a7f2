"""What a terminal has installed: the processes of the bench import nothing beyond that.

The tests bring more into the environment than they use themselves, and libraries import what they find: ``httpx`` has
``rich`` imported for a command line that nobody calls, 6 MB and 20 ms that no terminal has.
"""

import re
from collections.abc import Iterator
from importlib import metadata

#: What a terminal may be installed with.
_EXTRAS = frozenset({"gpio", "mqtt"})
_NAME = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra == ['\"]([\w.-]+)['\"]")

NOTE = "What only the tests have installed (rich, which httpx would import) is hidden from these processes."


def only_here() -> tuple[str, ...]:
    """Name the packages that can be imported here and that no terminal has."""
    theirs = set(_needed())
    found = metadata.packages_distributions()
    return tuple(sorted(name for name, owners in found.items() if theirs.isdisjoint(map(_normal, owners))))


def hiding() -> str:
    """Return a line of Python after which they can not be imported."""
    return f"import sys; sys.modules.update(dict.fromkeys({only_here()!r}))"


def _needed() -> Iterator[str]:
    """Yield the distributions that terminald needs, itself included; those of other systems may be among them."""
    seen: set[str] = set()
    left = ["terminald"]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            wanted = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        yield name
        wanted = [one for one in wanted if not (extra := _EXTRA.search(one)) or _is_ours(name, extra[1])]
        left += [_normal(found[0]) for one in wanted if (found := _NAME.match(one))]


def _is_ours(name: str, extra: str) -> bool:
    return name == "terminald" and extra in _EXTRAS


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
