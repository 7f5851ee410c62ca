"""What people order and mark: shelving, maintenance, products, baselines, false alarms and missed defects."""
