"""In which order processes go from one plan to the other: needs, plans in between, steps."""
