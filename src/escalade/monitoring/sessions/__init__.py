"""Monitoring sessions: a Prometheus of one's own, its targets, and what is known of them."""
