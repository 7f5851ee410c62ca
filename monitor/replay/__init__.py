"""Stored scores through a candidate configuration: which alerts there would have been."""
