"""Rendered training data: pages with outlines of their lines, and lines with their text."""
