"""Books lent to readers."""
