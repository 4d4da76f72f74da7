"""The report for machines: report.json, the twin of the page."""
