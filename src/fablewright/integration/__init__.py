"""What joins systems and outside programs."""
