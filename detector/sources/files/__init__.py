"""Records from files and standard input."""
