"""From frames to scores: inbox, decoding, batching, the worker."""
