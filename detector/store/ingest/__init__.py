"""Writes what a batch found."""
