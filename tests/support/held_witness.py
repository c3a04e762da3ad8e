"""A witness with fixed keys and a clock that is moved by hand."""

from pathlib import Path

from ledger.log.cosignature import CosignatureSigner, MlDsaSigner
from ledger.log.note import Verifier
from ledger.signing import PrivateKey
from ledger.witness.store import WitnessStore
from ledger.witness.witness import Witness, group_by_origin

NOW_S = 1_800_000_000


class HeldWitness:
    """A witness, and what it is made of."""

    def __init__(self, folder: Path, *verifiers: Verifier) -> None:
        self.folder = folder
        self.evidence = folder / "evidence"
        self.verifiers = list(verifiers)
        self.cosigners = [
            CosignatureSigner("witness.example", PrivateKey(b"w" * 32)),
            MlDsaSigner.from_seed("witness.example", b"q" * 32),
        ]
        self.keys = [cosigner.verifier for cosigner in self.cosigners]
        self.now_s = NOW_S
        self.start()

    def start(self) -> None:
        """Begin, or begin again."""
        self.store = WitnessStore(self.folder / "witness.db")
        self.witness = Witness(
            self.store,
            self.cosigners,
            group_by_origin(self.verifiers),
            evidence=self.evidence,
            now_s=lambda: self.now_s,
        )

    def answer(self, body: bytes) -> tuple[int, bytes]:
        answer = self.witness.add_checkpoint(body)
        return int(answer.status), answer.body
