"""Double-entry books: who has how much, and what of it is held."""
