"""Large payloads, kept outside the database."""
