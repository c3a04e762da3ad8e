"""Pedersen commitments: amounts that nobody sees and everybody can add up."""

from ledger.commitments.pedersen import Commitment, CommitmentOpening, commit

__all__ = ["Commitment", "CommitmentOpening", "commit"]
