"""The stages of a frame's way, each measured alone, by the classes of the service itself."""
