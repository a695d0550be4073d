"""A shop that charges cards."""
