"""Layers between a connection and a route: access, tokens, limits, headers, errors."""
