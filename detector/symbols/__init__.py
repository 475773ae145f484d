"""Symbols packs: what one kernel build says of itself, read out of its image.

In: the bytes of a kernel image. Out: its code, its symbols and its types (BTF), and the pack that
keeps them. Pure: `sources.symbols` reads and writes the files.
"""

from __future__ import annotations

MAX_IMAGE = 96 * 1024 * 1024
"""Bytes that an image may have, packed or unpacked; kernels unpack to 30 to 70 MB."""

MAX_MODULES = 48 * 1024 * 1024
"""Bytes of code and types that the modules in one pack may have."""


class UnreadableImageError(ValueError):
    """Bytes that are no kernel image that can be used; the text says why."""


class UnreadablePackError(ValueError):
    """Bytes that are no symbols pack that can be used; the text says why."""
