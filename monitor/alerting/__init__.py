"""From episodes to people: evidence, outbox, dispatchers and channels."""
