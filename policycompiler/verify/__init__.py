"""Compares a plan with reality: each module yields findings about one kind of look."""
