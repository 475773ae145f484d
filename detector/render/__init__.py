"""Presentation that terminal, API, pages and alerts share: headlines, units, JSON objects,
escaped text.
"""
