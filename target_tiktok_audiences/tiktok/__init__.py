"""TikTok's Business API: client, transport, models, return codes, errors and retries. Independent of Singer."""
