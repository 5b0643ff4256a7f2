"""Fuzz one target by coverage, with libFuzzer as atheris brings it: ``python -m tests.fuzz.guided TARGET SECONDS``.

A process of its own: libFuzzer ends it, and what it measures is put in while modules are imported.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["terminald"]):
    from tests.fuzz.corpus import failure, files, keep, smallest
    from tests.fuzz.target import Target
    from tests.fuzz.targets import TARGETS

#: What libFuzzer has found to be new is kept there between runs, out of the repository.
KEPT = Path(__file__).parent.parent.parent / ".fuzz"
#: One input may take so long: far more than any should.
_LONGEST_S = 20


def _words(target: Target, directory: Path) -> Path:
    """Write the target's words as a dictionary of libFuzzer."""
    path = directory / "words.dict"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word[:64]) for word in target.words)
    path.write_text("".join(f'"{word}"\n' for word in quoted))
    return path


def _arguments(target: Target, seconds: int, directory: Path) -> Sequence[str]:
    samples, kept = directory / "samples", KEPT / target.name
    samples.mkdir()
    kept.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate([*target.samples, *(path.read_bytes() for path in files(target))]):
        (samples / str(number)).write_bytes(sample)
    return (
        "guided",
        f"-max_total_time={seconds}",
        f"-max_len={target.longest}",
        f"-dict={_words(target, directory)}",
        f"-timeout={_LONGEST_S}",
        # What a process that imports all of terminald has, and room for one hostile input.
        "-rss_limit_mb=1024",
        f"-artifact_prefix={directory}/",
        "-print_final_stats=1",
        str(kept),
        str(samples),
    )


def _judge(target: Target, check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def judge(data: bytes) -> None:
        found = failure(check, data)
        if found is None:
            return
        small = smallest(check, data)
        print(f"{target.name}: {small!r}\nkept as {keep(target, small, failure(check, small) or found)}", flush=True)
        raise found

    return judge


def main(name: str, seconds: int) -> None:
    """Fuzz until the time is over, or a contract is broken."""
    target = TARGETS[name]
    with TemporaryDirectory() as directory, target.opened() as check:
        atheris.Setup(list(_arguments(target, seconds, Path(directory))), _judge(target, check))
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
