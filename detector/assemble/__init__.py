"""Assemble: the lines after a kernel fault's head → its Block, per host, whatever comes in
between.

In: lines in the order of their arrival, each with its match if it has one, and the time. Out:
blocks, verbatim. It does not read what a block says (crash does), keeps no history, does no IO and
has no clock.
"""

from detector.assemble.machine import Assembler
from detector.assemble.open_reports import AssemblyLimits

__all__ = ["Assembler", "AssemblyLimits"]
