"""A market's log in a folder, as it grew, and copies of it with one thing wrong."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from audited_market import ORIGIN, AuditedMarket, WrittenMarket, fixed_key
from notes import spoil_signature

from ledger.log import Signer
from ledger.log.cosignature import CosignatureSigner, MlDsaSigner, TimedSigner
from ledger.log.log import Log
from ledger.log.log_signers import LogSigners

SIGNED_AT_S = 1_800_000_000
SIZES = (1, 8, 200, 256, 700)
"""Entries at each checkpoint: one, a few, a partial tile, a full one, three tiles."""


@dataclass(frozen=True)
class CopiedLog:
    """A copy of a log, laid out as `sixfold audit fetch` does it.

    `checkpoints` are the notes that it had, by size; that of size 256 lies in the
    folder as the earlier one. The newest was cosigned by two witnesses.
    """

    folder: Path
    entries: list[bytes]
    checkpoints: dict[int, bytes]

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def key_file(self) -> Path:
        return self.folder / "log.vkey"

    @property
    def vkeys(self) -> list[str]:
        """The log's keys: Ed25519, then ML-DSA-44."""
        return self.key_file.read_text().split()

    def root_at(self, size: int) -> str:
        """The signed root of one of the checkpoints, in base64."""
        return self.checkpoints[size].decode().split("\n")[2]


SIGNERS = LogSigners(
    [
        Signer(ORIGIN, fixed_key("log")),
        TimedSigner(
            MlDsaSigner.from_seed(ORIGIN, b"log".ljust(32)), lambda: SIGNED_AT_S
        ),
    ]
)
WITNESSES = [
    CosignatureSigner("witness.example/w1", fixed_key("witness")),
    MlDsaSigner.from_seed("witness.example/w2", b"witness".ljust(32)),
]


class SignedMarket(WrittenMarket):
    """A market whose log has two keys, and whose checkpoints two witnesses cosign."""

    def __init__(self, market: AuditedMarket, folder: Path) -> None:
        super().__init__(market, folder)
        self.log = Log(self.copy.log, SIGNERS)

    def publish(self) -> None:
        super().publish()
        self.copy.key.write_text(SIGNERS.keys.text)

    def cosign(self) -> None:
        published = self.log.published()
        assert published is not None
        lines = [it.cosign(published.text, time_s=SIGNED_AT_S) for it in WITNESSES]
        self.log.add_cosignatures(published.text, lines)


@pytest.fixture(scope="session")
def witness_keys() -> list[str]:
    """The verifier keys of the witnesses: Ed25519, then ML-DSA-44."""
    return [witness.verifier.vkey for witness in WITNESSES]


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> CopiedLog:
    """A log of real statements, published as it grew."""
    folder = tmp_path_factory.mktemp("foreign") / "copy"
    folder.mkdir()
    market = AuditedMarket()
    written = SignedMarket(market, folder)
    checkpoints = {}
    for size in SIZES:
        grow(market, size)
        written.publish()
        checkpoints[size] = (folder / "log" / "checkpoint").read_bytes()
    written.cosign()
    written.close()
    (folder / "checkpoint.earlier").write_bytes(checkpoints[256])
    return CopiedLog(folder, market.entries, checkpoints)


def grow(market: AuditedMarket, size: int) -> None:
    """Let a market go on until its log has so many entries."""
    if not market.entries:
        market.open_market()
    while len(market.entries) < size:
        market.register(fixed_key(f"party {len(market.entries)}"))


def flip_last(data: bytes) -> bytes:
    """Change the last byte: of a hash, or of an entry."""
    return data[:-1] + bytes([data[-1] ^ 1])


def say_less(data: bytes) -> bytes:
    """Change the size that a checkpoint names."""
    return data.replace(b"\n700\n", b"\n600\n")


def swap_entries(data: bytes) -> bytes:
    """Let the first two entries of a bundle change places."""
    first = 2 + int.from_bytes(data[:2], "big")
    second = first + 2 + int.from_bytes(data[first : first + 2], "big")
    return data[first:second] + data[:first] + data[second:]


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "checkpoint of another size": ("checkpoint", say_less),
    "checkpoint with a wrong signature": (
        "checkpoint",
        partial(spoil_signature, place=0),
    ),
    "hash in a full tile": ("tile/0/001", flip_last),
    "hash in a partial tile": ("tile/0/002.p/188", flip_last),
    "hash in an upper tile": ("tile/1/000.p/2", flip_last),
    "entry in a full bundle": ("tile/entries/000", flip_last),
    "entry in a partial bundle": ("tile/entries/002.p/188", flip_last),
    "two entries swapped": ("tile/entries/001", swap_entries),
}


@pytest.fixture(params=DAMAGES)
def damaged(
    request: pytest.FixtureRequest, grown: CopiedLog, tmp_path: Path
) -> CopiedLog:
    """A copy of the log with one thing wrong."""
    path, damage = DAMAGES[request.param]
    folder = shutil.copytree(grown.folder, tmp_path / "copy")
    data = (grown.log / path).read_bytes()
    assert damage(data) != data
    (folder / "log" / path).write_bytes(damage(data))
    return CopiedLog(folder, grown.entries, grown.checkpoints)


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a checkpoint that the same log has signed over other entries."""
    folder = tmp_path_factory.mktemp("forked")
    market = AuditedMarket()
    written = SignedMarket(market, folder)
    grow(market, 7)
    market.register(fixed_key("somebody else"))
    written.publish()
    written.close()
    return folder / "log" / "checkpoint"
