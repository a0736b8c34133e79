"""What a record must hold, and how its identifier becomes a digest. Pure: nothing here reads or writes.

An identifier that is not a string, or cannot be what its contract says, is `Rejected` with a `Rejection`; the
rest is normalised and hashed to 32 bytes. TikTok matches digests only, so two spellings of one person must end
as the same digest, and what cannot match must not be sent in silence.
"""

from target_tiktok_audiences.contracts.contract import CONTRACTS, BulkDigester, Contract, Digester
from target_tiktok_audiences.contracts.rejection import Rejected, Rejection

__all__ = ["CONTRACTS", "BulkDigester", "Contract", "Digester", "Rejected", "Rejection"]
