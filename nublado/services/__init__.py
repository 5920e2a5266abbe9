"""State and decisions: labs, images, prepulling, file servers."""
