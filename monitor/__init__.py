"""The service: settings, composition, the pipeline and its stages, alerts, the page and the command line."""
