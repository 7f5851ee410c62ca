"""From scores to episodes: the rolling window, the threshold, the state of each camera."""
