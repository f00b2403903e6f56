"""Measures what edgeocr reads, how fast, and how other engines do on the same images."""
