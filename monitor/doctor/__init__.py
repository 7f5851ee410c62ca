"""`linewatch doctor`: tries everything that a configuration names, and says what works, what does not, what to do."""
