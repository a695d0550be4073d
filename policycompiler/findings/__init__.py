"""Findings: their catalog, and how they are judged, waived, hidden and fixed."""
