"""Errors, files, logging and signals. Knows nothing of audiences."""
