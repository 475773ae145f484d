"""Certificates made for one test."""

from __future__ import annotations

import subprocess
from pathlib import Path


def certificate(folder: Path, name: str) -> dict[str, str]:
    """A certificate for loopback with its key, signed by itself, as settings."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    about = ["-subj", "/CN=oopswatch", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *kind, *about, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    return {"tls_certfile": str(cert), "tls_keyfile": str(key)}
