"""How pages for people speak and look, whoever serves them."""
