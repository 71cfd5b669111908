"""lmigrate's own API: what Nova has no word for."""
