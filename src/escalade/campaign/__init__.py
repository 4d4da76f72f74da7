"""Campaigns: their configuration, their plan, and how their results are made."""
