"""Several campaigns on one page."""
