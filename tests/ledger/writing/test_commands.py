"""What was done before is known, to the transaction and to all later ones."""

import pytest
from sqlmodel import Session

from ledger.errors import CommandError
from ledger.writing import CommandKey, Commands

KEY = CommandKey("party", "one")
HASH, OTHER_HASH = b"h" * 32, b"o" * 32


def test_kept_answer_is_found_later(engine) -> None:
    with Session(engine) as session:
        commands = Commands(session)
        assert commands.answer(KEY, HASH) is None
        commands.keep(KEY, HASH, "answer")
        assert commands.answer(KEY, HASH) == "answer"
        commands.flush()
        commands.flush()
        session.commit()
    with Session(engine) as session:
        commands = Commands(session)
        commands.prefetch([KEY, CommandKey("party", "two"), KEY])
        assert commands.answer(KEY, HASH) == "answer"
        assert commands.answer(CommandKey("party", "two"), HASH) is None
        assert commands.answer(CommandKey("other", "one"), HASH) is None


def test_other_payload_is_refused(engine) -> None:
    with Session(engine) as session:
        commands = Commands(session)
        commands.keep(KEY, HASH, "answer")
        with pytest.raises(CommandError):
            commands.answer(KEY, OTHER_HASH)


def test_rolled_back_command_was_never_done(engine) -> None:
    with Session(engine) as session:
        commands = Commands(session)
        commands.keep(CommandKey("party", "before"), HASH, "answer")
        mark = commands.mark()
        commands.keep(KEY, HASH, "answer")
        commands.rollback_to(mark)
        assert commands.answer(KEY, OTHER_HASH) is None
        commands.flush()
        session.commit()
    with Session(engine) as session:
        commands = Commands(session)
        assert commands.answer(KEY, HASH) is None
        assert commands.answer(CommandKey("party", "before"), HASH) == "answer"
