"""Durable writing: many callers, one commit, each command once.

`group_commit` is the thread that gathers what waits and answers after the commit,
`commands` the memory of what was done before, `appender` the two together with the
log: entries in, their places out, on the disk and in the tree.
"""

from ledger.writing.appender import Append, Appender
from ledger.writing.commands import CommandKey, Commands
from ledger.writing.group_commit import GroupCommit

__all__ = ["Append", "Appender", "CommandKey", "Commands", "GroupCommit"]
