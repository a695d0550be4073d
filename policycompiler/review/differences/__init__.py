"""What differs between two plans, and what was written that made it so."""
