"""Singer input: bytes to records."""
