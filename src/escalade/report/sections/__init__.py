"""Sections of the report: sentences and tables from KPIs and verdicts, each with its template."""
