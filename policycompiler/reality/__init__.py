"""Read-only looks at a running system: its code, commands, workers, broker and schedules."""
