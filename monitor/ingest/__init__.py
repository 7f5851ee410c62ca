"""Cameras at the edge to Kafka: capture, encode, send, and a buffer on disk for when the broker is away."""
