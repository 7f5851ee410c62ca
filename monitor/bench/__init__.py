"""What parts of the service cost, measured on the machine at hand."""
