"""The commands of a rollout: what shows that a broker or a worker has come so far."""
