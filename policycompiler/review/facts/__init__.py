"""What a deployment does, read from its plan: who takes what, and where messages are."""
