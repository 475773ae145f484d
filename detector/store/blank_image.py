"""The image of a blank history, kept from one start to the next for histories in memory.

Its two hundred statements take as long as a small file takes to scan. In: a connection to an empty
database in memory, and a place that keeps bytes. The image's name is made of what the schema is
made of, so another version, or a changed migration, never meets an old one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection

from detector.kept_bytes import KeptBytes
from detector.store.turns import MEMORY


def fill(db: Connection, images: KeptBytes) -> bool:
    """Makes an empty database in memory a blank history; returns whether its image is kept."""
    key = _key()
    image = key and images.load(key)
    if not image:
        return False
    # Copied page by page: a database that is an image itself may not grow beyond a gigabyte.
    with closing(sqlite3.connect(MEMORY)) as blank:
        blank.deserialize(image)
        blank.backup(db)
    return True


def keep(db: Connection, images: KeptBytes) -> None:
    """Keeps the image of a blank history."""
    if key := _key():
        images.save(key, db.serialize())


def _key() -> str:
    """Returns the image's name; "" where the schema's source is not there to tell versions
    apart.
    """
    files = sorted((Path(__file__).parent / "schema").glob("*.py"))
    source = b"".join(file.read_bytes() for file in files)
    version = sqlite3.sqlite_version
    return f"blank history {version} {sha256(source).hexdigest()}" if source else ""
