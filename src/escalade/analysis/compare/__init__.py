"""Campaigns beside each other: two compared, many as a trend."""
