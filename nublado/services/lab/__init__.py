"""Labs: who has one, what is happening to it, and how that comes about."""
