"""Write files so that a crash at any moment leaves the old content or the new, never a part."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE, PUBLIC = 0o600, 0o644


def write(path: Path, content: bytes | str, mode: int = PUBLIC) -> None:
    """Replace ``path``, making its directory; ``mode`` holds from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    new.replace(path)
