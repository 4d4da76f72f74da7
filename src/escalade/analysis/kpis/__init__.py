"""KPIs: the catalogue, the readings of each step, and the table of a cell."""
