"""Several apps that share tasks and a broker."""
