"""Reads the history."""
