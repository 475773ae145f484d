"""The states of an incident and what changes them."""
