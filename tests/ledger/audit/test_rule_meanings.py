"""Each rule says what its breach means."""

from ledger.audit.rule_meanings import MEANINGS
from ledger.audit.rules import Rule


def test_each_rule_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Rule)
    assert all(text.endswith(".") for text in MEANINGS.values())
    assert len(set(MEANINGS.values())) == len(MEANINGS)
