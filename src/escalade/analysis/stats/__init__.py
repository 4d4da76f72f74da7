"""Statistics of the field, on plain arrays: intervals, dependence, ranks, slopes, steady state."""
