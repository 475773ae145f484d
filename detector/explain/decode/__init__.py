"""Decodes what a report gives in numbers: instructions, addresses, fault codes."""
