"""The paths of the HTTP surface, a file for each kind. `add` puts them into the application."""
