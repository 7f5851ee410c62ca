"""The commands of `linewatch bench`, one file a part."""
