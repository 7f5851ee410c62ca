"""Grafana: the dashboards, the alert rules, and the client that publishes annotations."""
