"""No tracked file knows the machine that it was written on, or where packages come from."""

import re
from pathlib import Path

#: Spelled in pieces, so that this file does not find itself.
FORBIDDEN = re.compile(
    "|".join(
        [
            r"/work/(main|shared)\b",
            r"(?<![\w.])/root/",
            r"/home/\w+/",
            r"files\.python" + r"hosted\.org",
            r"\bpypi" + r"\.org",
            r"registry\.npm" + r"js\.org",
            r"deb\.deb" + r"ian\.org",
            r"--(extra-)?index-url\b",
            r"--find-links\b",
        ],
    ),
)


def test_no_path_of_a_machine_and_no_registry(tracked: list[Path], repository: Path) -> None:
    found = []
    for path in tracked:
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := FORBIDDEN.search(line):
                found.append(f"{path.relative_to(repository)}:{number}: {match.group()}")
    assert found == []


def test_requirements_are_pinned_with_hashes(repository: Path) -> None:
    for lock in repository.glob("requirements/*.txt"):
        if lock.name.startswith("debian"):  # packages of the system
            continue
        requirements = [line for line in lock.read_text().splitlines() if line and line[0].isalnum()]
        assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ ?(; .*)?\\$", line) for line in requirements), lock.name
        assert lock.read_text().count("--hash=sha256:") >= len(requirements), lock.name
