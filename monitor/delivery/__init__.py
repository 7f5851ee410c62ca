"""From the outbox to whoever subscribed: who is told, when, by which channel, and again until it arrived."""
