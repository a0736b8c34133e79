"""Settings: their JSON Schema, their typed form, and what is wrong with a configuration."""
