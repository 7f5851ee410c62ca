"""What is normal for a camera, a model and a product: the window of scores, its range and its life cycle."""
