"""GANomaly: networks, losses, training, evaluation, checkpoints, and the port to score through.

This floor knows pictures and scores. It knows nothing of cameras, streams or alerts, and prints
nothing: progress goes to callbacks, trouble is raised.
"""
