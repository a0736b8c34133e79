"""The ledger of each audience: desired members, delivered members, and where ledgers are kept."""
