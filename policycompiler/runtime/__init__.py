"""Modules that are shipped into the output, for the processes of the application."""
