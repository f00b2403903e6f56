"""The workshop where edgeocr's models are made: networks, losses, data, recipes, compression."""
