"""Errors of kernel images and symbols packs, and how large an image may be."""

from __future__ import annotations

MAX_IMAGE = 96 * 1024 * 1024
"""Bytes that an image may have, packed or unpacked; kernels unpack to 30 to 70 MB."""


class UnreadableImageError(ValueError):
    """Bytes that are no kernel image that can be used; the text says why."""


class UnreadablePackError(ValueError):
    """Bytes that are no symbols pack that can be used; the text says why."""
