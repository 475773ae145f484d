"""Symbols packs: what one kernel build says of itself, read out of its image.

In: the bytes of a kernel image. Out: its code, its symbols and its types (BTF), and the pack that
keeps them. Pure: `sources.symbols` reads and writes the files.
"""
