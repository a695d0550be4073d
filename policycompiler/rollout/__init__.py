"""The steps of a rollout, followed: waits that look until they hold, and actions that change the broker."""
