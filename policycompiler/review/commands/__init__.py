"""The commands of a rollout, which show the state of brokers and workers."""
