"""Signatures and rules as rules of Sigma, and rules of Sigma as signatures and rules.

Pure: catalogue entries in, documents out, and the other way round. Neither side is the other:
docs/sigma.md says what each way loses.
"""
