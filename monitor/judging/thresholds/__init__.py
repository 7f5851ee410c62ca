"""From a wished rate of false alarms to a threshold."""
