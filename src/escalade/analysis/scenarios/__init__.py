"""Campaigns that ask one question: pairs, contention, recovery, stability, standards, components."""
