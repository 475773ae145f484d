"""The two stages of a fleet: `Detector` (chunks → findings, without store or clock) and
`Archive` (findings → incidents in one history), and what carries findings between them over Kafka.

In: settings. Out: the commands `detect` and `archive`, and what `detector.api` offers.
"""
