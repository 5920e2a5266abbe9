"""File servers of all users: created on demand, gone when they are not used."""
