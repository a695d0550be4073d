"""A load test before production: declared rates, bursts and run times on real workers.

Stand-ins run instead of tasks. They wait or compute as long as the run times say. What was measured is
compared with a simulation of the same messages on the same slots.
"""
