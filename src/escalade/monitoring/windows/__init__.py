"""What a Prometheus recorded in a window of time: chosen, gathered, reduced, written down."""
