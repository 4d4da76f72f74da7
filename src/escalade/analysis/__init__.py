"""From request logs and samples to KPIs, gates, capacity and verdicts.

Pure: tables and dictionaries in, tables and dictionaries out. No file is read
or written, no clock is asked, every random number has a seed from the data:
the same input gives the same output, byte for byte. The rules and their limits
are in docs/metrics.md.
"""
