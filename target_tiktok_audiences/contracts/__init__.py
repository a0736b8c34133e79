"""Data contracts: validate identifiers, normalize and hash them. Pure functions without I/O."""
