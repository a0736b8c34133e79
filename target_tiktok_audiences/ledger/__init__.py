"""Who should be in an audience, and who TikTok has been given."""
