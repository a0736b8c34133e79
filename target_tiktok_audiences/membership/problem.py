"""What stops an audience's run for a reason that a user can read."""


class Problem(Exception):
    """An audience that must not be changed now; the text says why, and what to do."""
