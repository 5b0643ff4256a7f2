"""The rules of the house, as tests over the source: which module may know which, and what stands nowhere."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "terminald"

#: Arrows go from a higher rank to a lower one. A unit is a package, a module, or a module with its name's continuations
#: (``config``, ``config_text``).
RANKS = {
    "errors": 0,
    "core": 1,
    "config": 2,
    "logs": 2,
    "wire": 2,
    "adapters": 3,
    "engine": 4,
    "app": 5,
    "cli": 6,
    "__main__": 7,
}
SIMULATOR = "simulator"

#: What decides about money computes; it does not ask the world.
PURE = {
    *("__future__", "abc", "base64", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum"),
    *("functools", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re", "string", "struct"),
    *("textwrap", "types", "typing", "unicodedata"),
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "now", "utcnow", "today", "fromtimestamp"}
BROAD_EXCEPT = {"adapters/supervisor.py", "adapters/api_server.py"}
EXITS = {"sys.exit", "os._exit", "os.abort", "exit", "quit"}
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "tools"}
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A source file; ``path`` is relative to the package."""

    path: str
    text: str
    tree: ast.Module

    @property
    def unit(self) -> str:
        return unit_of(self.path.removesuffix(".py").split("/"))

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler) -> str:
        return f"terminald/{self.path}:{node.lineno}"


def unit_of(parts: list[str]) -> str:
    """Return the unit of a module below the package; ``""`` for the package itself."""
    first = parts[0] if parts else "__init__"
    if first == "__init__":
        return ""
    return first if first in RANKS or first == SIMULATOR else first.partition("_")[0]


@cache
def modules() -> tuple[Module, ...]:
    return tuple(
        Module(path=path.relative_to(PACKAGE).as_posix(), text=text, tree=ast.parse(text, str(path)))
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in (path.read_text(),)
    )


def imports(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield the dotted name of everything that is imported; of ``from a import b``, both ``a`` and ``a.b``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def exists(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def imported_units(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield the units of this package that a module imports; attributes of the package itself are the unit ``""``."""
    for node, dotted in imports(module):
        first, *parts = dotted.split(".")
        if first == "terminald":
            yield node, unit_of(parts) if len(parts) > 1 or exists(dotted) else ""


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def report(found: list[str], rule: str) -> None:
    assert not found, "\n".join([rule, *found])


def test_the_package_was_found() -> None:
    assert {"errors.py", "core/money.py", "config.py"} <= {module.path for module in modules()}


def test_every_module_has_a_rank() -> None:
    found = [module.path for module in modules() if module.unit not in RANKS and module.unit not in ("", SIMULATOR)]
    report(found, "give these units a rank in RANKS, or a place in one of the units there:")


def test_arrows_point_down() -> None:
    found = [
        f"{module.at(node)}: {module.unit} (rank {RANKS[module.unit]}) imports {unit} (rank {RANKS[unit]})"
        for module in modules()
        if module.unit in RANKS
        for node, unit in imported_units(module)
        if unit in RANKS and unit != module.unit and RANKS[unit] >= RANKS[module.unit]
    ]
    report(found, "imports point down only: cli → app → engine → adapters → (wire, config, logs) → core → errors:")


def test_the_package_itself_imports_nothing() -> None:
    found = [
        module.at(node)
        for module in modules()
        if module.unit == ""
        for node, dotted in imports(module)
        if dotted.startswith("terminald")
    ]
    report(found, "terminald/__init__.py is imported by everything, so it imports nothing of ours:")


def test_imports_name_the_whole_path() -> None:
    found = [
        module.at(node)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    report(found, "write `from terminald.x import y`, not a relative import:")


def test_the_simulator_and_the_daemon_know_nothing_of_each_other() -> None:
    """A simulator that shares code with the daemon shares its misunderstandings."""
    found = [
        f"{module.at(node)}: {module.unit} imports {unit or 'terminald'}"
        for module in modules()
        for node, unit in imported_units(module)
        if (module.unit == SIMULATOR and unit != SIMULATOR)
        or (unit == SIMULATOR and module.unit not in (SIMULATOR, "cli"))
    ]
    report(found, "simulator imports simulator only; besides it only cli imports it:")


def test_the_core_is_pure() -> None:
    core = [module for module in modules() if module.unit == "core"]
    foreign = [
        f"{module.at(node)}: imports {dotted}"
        for module in core
        for node, dotted in imports(module)
        if dotted.split(".")[0] not in PURE | {"terminald"}
    ]
    impure = [
        f"{module.at(node)}: calls {name}"
        for module in core
        for node, name in calls(module)
        if name.rpartition(".")[2] in IMPURE_CALLS
    ]
    suspending = [
        f"{module.at(node)}: is asynchronous"
        for module in core
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await)
    ]
    report([*foreign, *impure, *suspending], "the core computes: no input, output, clock, chance or other libraries:")


def test_the_wire_does_no_input_and_output() -> None:
    worldly = {
        "asyncio",
        "socket",
        "select",
        "threading",
        "time",
        "random",
        "sqlite3",
        "httpx",
        "serial",
        "evdev",
    }
    found = [
        f"{module.at(node)}: imports {dotted}"
        for module in modules()
        if module.unit == "wire"
        for node, dotted in imports(module)
        if dotted.split(".")[0] in worldly
    ]
    report(found, "codecs turn bytes into values and back; what moves bytes is an adapter:")


def test_values_of_the_core_cannot_change() -> None:
    found = [
        f"{module.at(node)}: {node.name}"
        for module in modules()
        if module.unit == "core"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if "dataclass" in (written := ast.unparse(decorator))
        and not all(f"{option}=True" in written for option in ("frozen", "slots"))
    ]
    report(found, "a dataclass of the core is frozen and has slots:")


def test_only_main_ends_the_process() -> None:
    found = [
        f"{module.at(node)}: {name}"
        for module in modules()
        if module.path != "__main__.py"
        for node, name in calls(module)
        if name in EXITS or name == "SystemExit"
    ]
    report(found, "only terminald/__main__.py ends the process; return an exit code, or raise a TerminaldError:")


def test_broad_excepts_stand_in_two_places_only() -> None:
    def is_broad(handler: ast.ExceptHandler) -> bool:
        caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        return any(each is None or ast.unparse(each) in ("Exception", "BaseException") for each in caught)

    found = [
        module.at(node)
        for module in modules()
        if module.path not in BROAD_EXCEPT
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and is_broad(node)
    ]
    report(found, f"catch what the call can raise; everything else is a bug. Broad except: {sorted(BROAD_EXCEPT)}:")


def test_modules_have_names_that_say_something() -> None:
    found = [module.path for module in modules() if VAGUE_NAMES & {*module.path.removesuffix(".py").split("/")}]
    report(found, "name a module by what it is:")


def test_modules_are_short() -> None:
    lengths = {module.path: module.text.count("\n") for module in modules()}
    found = [f"terminald/{path}: {length}" for path, length in lengths.items() if length > MAX_MODULE_LINES]
    report(found, f"a module has about 150 lines and at most {MAX_MODULE_LINES}; split it by what it says:")


def test_functions_are_short() -> None:
    found = [
        f"{module.at(node)}: {node.name}: {length}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, Function)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    report(found, f"a function has up to 40 lines, and {MAX_FUNCTION_LINES} at the very most:")


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("__init__.py", ""),
        ("__main__.py", "__main__"),
        ("config_text.py", "config"),
        ("engine_loop.py", "engine"),
        ("engine/loop.py", "engine"),
        ("core/ids.py", "core"),
        ("simulator/gateway.py", "simulator"),
    ],
)
def test_units_are_told_by_their_names(path: str, unit: str) -> None:
    assert Module(path=path, text="", tree=ast.parse("")).unit == unit


@pytest.mark.parametrize(
    ("source", "unit"),
    [
        ("import terminald.cli", "cli"),
        ("from terminald import errors", "errors"),
        ("from terminald import __version__", ""),
        ("from terminald.core import money", "core"),
        ("from terminald.core.money import Fen", "core"),
        ("from terminald.config_text import read", "config"),
    ],
)
def test_imports_are_seen_in_every_form(source: str, unit: str) -> None:
    module = Module(path="x.py", text="", tree=ast.parse(f"def later():\n    {source}\n"))
    assert [found for _, found in imported_units(module)] == [unit]
