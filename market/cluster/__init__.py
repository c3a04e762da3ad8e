"""Several processes that serve one market from one PostgreSQL database.

What a process keeps in memory is a copy or a hint: the database decides. Here is how
the copies are kept true, and how a process hears what another one has done.
"""
