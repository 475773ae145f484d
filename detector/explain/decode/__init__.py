"""Decodes numbers of a report: registers, codes and syndromes that hardware or kernel
print in hex.

Each module knows one format, names its source, and hands back what follows from the bits.
"""
