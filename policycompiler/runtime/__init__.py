"""Modules that are shipped into the output and run in the processes of the application."""
