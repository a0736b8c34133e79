"""`python -m target_tiktok_audiences`."""

from target_tiktok_audiences.commands import main

main()
