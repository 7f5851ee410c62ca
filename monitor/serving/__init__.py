"""What others see of a running monitor: ledger, metrics, HTTP, the live page."""
