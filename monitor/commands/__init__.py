"""The commands of `linewatch`, one file each; monitor.cli strings them together."""
