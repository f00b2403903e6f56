"""Loads weights that others published into the networks of this package."""
