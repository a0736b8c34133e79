"""Values for columns: ordinary, odd and hostile."""

from __future__ import annotations

import hashlib
import os

from hypothesis import strategies as st

from target_tiktok_audiences.contracts import device_id

LONG = bool(os.environ.get("TEST_LONG"))


DEVICE_ID = "5f3a2b18-9c4d-4e7f-b8e2-17d3a1e69b25"
HASH = hashlib.sha256(b"janedoe@gmail.com").hexdigest()
HASH_OF_NOTHING = hashlib.sha256(b"").hexdigest()


ORDINARY = ["jane.doe+x@gmail.com", "+12015550123", "(201) 555-0123", "+442071838750", DEVICE_ID, HASH, HASH_OF_NOTHING]
HOSTILE = [
    *("\0", "\0\0", "a@b.c\0", "\0a@b.c", "a@b.c\0d@e.f", f"{DEVICE_ID}\0", f"\0{HASH}", "+12015550123\0"),
    *(
        "\ud800",
        "a@b.c\udfff",
        "\ud83d\ude00@b.c",
        "\u0391\u03a3@b.c",
        "\u0130@b.c",
        "\u212a@b.c",
        "é@b.c",
        "\uff21\uff22@b.c",
        "a@b\uff0ec",
    ),
    *("a@b.c\x1c", "\x85a@b.c", "a @ b . c", "a\u3000@b.c", "\u200ba@b.c", "a@b.c\x7f", "a\x01@b.c", "null", "", " "),
    *("a@@b.c", "a@b@c.d", "@b.c", "a@.b", "a@b.", "a@.b.c", "a@b.c.", "a@..", "a@...", ".@b.c"),
    *(device_id.ALL_ZERO, f" {DEVICE_ID.upper()}", DEVICE_ID.replace("-", " "), f"{DEVICE_ID}\n", f"{DEVICE_ID}-"),
    *(HASH.upper(), f" {HASH}\n", HASH[:-1], HASH + "0", "0" * 64, "g" * 64, "\uff11" * 64, HASH_OF_NOTHING.upper()),
    *("+", "+1", "+999123456", "+1120155501", "+1201555", "+12015550123x5", "+1201555012\uff13"),
]
TEXT = st.one_of(
    st.sampled_from(ORDINARY + HOSTILE),
    st.text(),
    st.text("aA.@ \0\u3000é\ud800", max_size=12),
    st.from_regex(r"[a-zA-Z0-9.+_-]{1,12}@[a-z0-9]{1,8}\.[a-zA-Z]{2,3}", fullmatch=True),
    st.from_regex(r"\+?[0-9 ()-]{5,18}", fullmatch=True),
    st.uuids().map(str),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=4,
)
