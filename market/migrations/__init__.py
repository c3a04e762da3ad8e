"""Versions of the tables, one module each, from the first to the newest.

A version is never changed once it was released. It names its tables itself instead
of asking the models, which go on.
"""
