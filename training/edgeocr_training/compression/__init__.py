"""Makes trained networks smaller and faster."""
