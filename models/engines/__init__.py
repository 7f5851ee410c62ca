"""Ways to run a trained method over pictures: the port in engine.py, one file for each engine."""
