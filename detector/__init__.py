"""oopswatch: a log-stream anomaly detector for kernel logs."""

__version__ = "0.1.0"
