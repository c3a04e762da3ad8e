"""Placement: which offer may and should take an order, and why."""
