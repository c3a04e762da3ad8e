"""Accounts: who is known to the market."""
