"""The name of a witness and its two keys, in one file that is made once.

One file, so that a witness never has one key without the other, or with another
name: whoever trusts it has pinned all three. Readable by its owner alone.

Source: C2SP tlog-cosignature (key types 0x04 and 0x06).
"""

from pathlib import Path
from typing import Literal

from ledger.document import Base64, Document
from ledger.encoding import decode_base64, encode_base64
from ledger.errors import KeyFileError, LedgerError, NoteError
from ledger.key_files import (
    KEY_FILE_BYTES_MAX,
    create_private_file,
    read_private_file,
)
from ledger.log.cosignature import CosignatureSigner, Cosigner, MlDsaSigner
from ledger.mldsa import SEED_BYTES as ML_DSA_SEED_BYTES
from ledger.mldsa import MlDsaPrivateKey
from ledger.signing import SEED_BYTES, PrivateKey
from ledger.witness.errors import WitnessConfigError


class _WitnessKeyFile(Document):
    """What the file holds. The verifier keys follow from it."""

    format: Literal["sixfold-witness-key/v1"]
    name: str
    ed25519_seed: Base64
    ml_dsa_44_seed: Base64


class WitnessKeys:
    """The keys of one witness under its name; no secret is shown."""

    def __init__(self, name: str, key: PrivateKey, quantum: MlDsaPrivateKey) -> None:
        """Put a name and two keys together.

        Raises:
            NoteError: Nothing can have this name.
        """
        self.name = name
        self.cosigners: tuple[Cosigner, ...] = (
            CosignatureSigner(name, key),
            MlDsaSigner(name, quantum),
        )

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys as text: Ed25519, then ML-DSA-44."""
        return tuple(cosigner.verifier.vkey for cosigner in self.cosigners)


def create_witness_keys(path: Path, name: str) -> WitnessKeys:
    """Make new keys and keep them in a new file.

    Raises:
        WitnessConfigError: Nothing can have this name.
        KeyFileError: The file exists, or cannot be written.
    """
    key, quantum = PrivateKey.generate(), MlDsaPrivateKey.generate()
    try:
        keys = WitnessKeys(name, key, quantum)
    except NoteError as error:
        raise WitnessConfigError(str(error)) from error
    document = _WitnessKeyFile(
        format="sixfold-witness-key/v1",
        name=name,
        ed25519_seed=encode_base64(key.seed),
        ml_dsa_44_seed=encode_base64(quantum.seed),
    )
    create_private_file(path, document.to_bytes() + b"\n")
    return keys


def load_witness_keys(path: Path) -> WitnessKeys:
    """Load the keys in a file.

    Raises:
        KeyFileError: The file is missing, open to others than its owner, or not a
            key file of a witness.
    """
    data = read_private_file(path)
    try:
        document = _WitnessKeyFile.from_bytes(data, size_max=KEY_FILE_BYTES_MAX)
        return WitnessKeys(
            document.name,
            PrivateKey(decode_base64(document.ed25519_seed, size=SEED_BYTES)),
            MlDsaPrivateKey(
                decode_base64(document.ml_dsa_44_seed, size=ML_DSA_SEED_BYTES)
            ),
        )
    except LedgerError:
        # Without its cause, which may hold the text of the file.
        raise KeyFileError(f"{path} is damaged, or no witness's key file.") from None
