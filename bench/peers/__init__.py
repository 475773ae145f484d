"""Peers: for each its configuration, made from the catalogue's phrases, or a program that does the
same job with its library.

All are asked for one rule: both halves on one host within 10 s of the log's own time. What
correlates prints `INCIDENT host seconds`.
"""
