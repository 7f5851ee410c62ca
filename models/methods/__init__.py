"""The ways to say how far a picture is from normal, one file each; catalogue.py knows them by name."""
