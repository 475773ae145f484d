"""The composition root: the only place where settings become parts."""
