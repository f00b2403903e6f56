"""Removes channels that a trained network can do without."""
