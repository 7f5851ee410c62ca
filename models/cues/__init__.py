"""What the calibrated method looks at: maps of how unusual each place of a picture is, made comparable, and joined."""
