"""Figures of the report: inline SVG from requests, series and KPIs."""
