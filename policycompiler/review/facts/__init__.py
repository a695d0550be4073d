"""What a deployment does, read from its plan: which worker consumes which queue, and where messages are."""
