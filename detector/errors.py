"""Errors that a person can mend."""

from __future__ import annotations


class UserError(Exception):
    """An error that a person can mend: each line names what is wrong, where, and what to do."""
