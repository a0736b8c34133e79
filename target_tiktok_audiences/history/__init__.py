"""The journal of runs, read and drawn. Nothing here changes a ledger or calls TikTok."""
