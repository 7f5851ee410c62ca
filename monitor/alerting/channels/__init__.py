"""Where alerts are delivered, one file a channel."""
