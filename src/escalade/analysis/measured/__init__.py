"""What was measured, as the analysis reads it: cells, windows, series and levels."""
