"""TikTok's Business API: client, transport, models, codes, errors, retries. Knows nothing of Singer."""
