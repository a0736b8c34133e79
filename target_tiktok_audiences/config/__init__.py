"""Configuration: JSON Schema of the settings, typed settings and validation."""
