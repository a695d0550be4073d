"""The differences between two plans, and the lines of the workload that caused them."""
