"""Signed notes: text that one or more named keys have signed.

A note is readable by a person and signed to the byte. Nothing in it may be
believed before `open_note` has returned.

Source: C2SP signed-note.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import EncodingError, KeyTypeError, NoteError, SignatureError
from ledger.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX
from ledger.log.signature_types import SignatureType, check_key, verify_signature
from ledger.signing import PrivateKey

NAME_BYTES_MAX = 255
"""Cosignatures with ML-DSA frame a name with one byte (C2SP tlog-cosignature)."""

VKEY_CHARACTERS_MAX = 4_096
"""Room for the longest name and the 1,312 bytes of an ML-DSA-44 key."""

_KEY_ID_BYTES = 4
_SIGNATURE_PREFIX = "\N{EM DASH} "


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: who signed, with which key, and the signature."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        """The line of the note, with its final newline."""
        payload = encode_base64(self.key_id + self.data)
        return f"{_SIGNATURE_PREFIX}{self.name} {payload}\n"


@dataclass(frozen=True)
class Note:
    """A note whose signatures were checked.

    `text` ends in a newline. `signatures` holds those of known keys only, in the
    order of the note.
    """

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True)
class Verifier:
    """A name and the public key that signs for it."""

    name: str
    signature_type: SignatureType
    key: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_key(self.signature_type, self.key)

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Parse a verifier key, `<name>+<key id>+<base64 of type and key>`.

        Raises:
            KeyTypeError: Of a type that is not known here.
            NoteError: Malformed, or the key id is not the one of this name and key.
        """
        if len(vkey) > VKEY_CHARACTERS_MAX or vkey.count("+") < 2:
            raise NoteError("A verifier key is <name>+<key id>+<key>.")
        # Base64 may hold a plus sign as well, so only the first two divide.
        name, _, key_text = vkey.split("+", 2)
        try:
            payload = decode_base64(key_text)
            verifier = cls(name, SignatureType(payload[0]), payload[1:])
        except EncodingError as error:
            raise NoteError("A verifier key that is not base64.") from error
        except (IndexError, ValueError) as error:
            raise KeyTypeError("A verifier key of a type that is not known.") from error
        if verifier.vkey != vkey:
            raise NoteError("The key id is not the one of this name and key.")
        return verifier

    @cached_property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, tell keys apart; no strong hash."""
        signed_by = bytes([self.signature_type]) + self.key
        digest = hashlib.sha256(self.name.encode() + b"\n" + signed_by).digest()
        return digest[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The verifier key as text, to hand to others."""
        payload = encode_base64(bytes([self.signature_type]) + self.key)
        return f"{self.name}+{self.key_id.hex()}+{payload}"

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature over the text of a note.

        Args:
            text: Ends in a newline. Cosigners with ML-DSA sign checkpoints only.
            signature: What follows the key id, with its timestamp if it has one.

        Raises:
            NoteError: The signature is not one of this key over `text`.
        """
        try:
            verify_signature(self.signature_type, self.name, self.key, text, signature)
        except SignatureError as error:
            raise NoteError(f"The signature of {self.name} is wrong.") from error


class NoteSigner(Protocol):
    """Whoever can sign the text of a note."""

    @property
    def verifier(self) -> Verifier:
        """The key that its signatures are checked with."""

    def sign(self, text: str) -> NoteSignature:
        """Sign the text of a note."""


class Signer:
    """A name and the Ed25519 private key that signs notes for it."""

    def __init__(self, name: str, key: PrivateKey) -> None:
        self._key = key
        self.verifier = Verifier(name, SignatureType.ED25519, key.public.data)

    def sign(self, text: str) -> NoteSignature:
        """Sign the text of a note."""
        signature = self._key.sign(text.encode())
        return NoteSignature(self.verifier.name, self.verifier.key_id, signature)


def sign_note(text: str, signers: Sequence[NoteSigner]) -> bytes:
    """Sign a text with one or more keys, each on its own line.

    Args:
        text: Ends in a newline and holds no other control character.
        signers: At least one, and no key twice.

    Raises:
        NoteError: The text cannot be the text of a note.
    """
    assert signers
    _check_text(text)
    return f"{text}\n{''.join(signer.sign(text).line for signer in signers)}".encode()


def extend_note(data: bytes, signatures: Sequence[NoteSignature]) -> bytes:
    """Append signature lines to a note; keys that are there already are passed over.

    Args:
        data: A signed note. Nothing in it is checked again.
        signatures: Over the text of this note, checked.

    Raises:
        NoteError: The note is malformed, or would be larger than a note may be.
    """
    _, lines = _split_note(data)
    present = [parse_signature(line) for line in lines]
    keys = {(item.name, item.key_id) for item in present}
    added = [item for item in signatures if (item.name, item.key_id) not in keys]
    extended = data + "".join(item.line for item in added).encode()
    _split_note(extended)
    return extended


def read_text(data: bytes) -> str:
    """Return the text of a note. Nothing is checked: its signatures may be anything.

    Raises:
        NoteError: It is not in the form of a note.
    """
    return _split_note(data)[0]


def open_note(data: bytes, verifiers: Sequence[Verifier]) -> Note:
    """Parse a note and check it against known keys.

    Args:
        data: The note, at most 65,536 bytes with at most 64 signatures.
        verifiers: The keys that are trusted. Lines of all others are ignored.

    Raises:
        NoteError: Malformed; a known key's signature is wrong or there twice; or
            no known key signed it. No other error leaves this function.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    if len(known) != len(verifiers):
        raise NoteError("Two trusted keys with one name and key id.")
    text, lines = _split_note(data)
    checked: dict[tuple[str, bytes], NoteSignature] = {}
    for line in lines:
        signature = parse_signature(line)
        signed_by = (signature.name, signature.key_id)
        verifier = known.get(signed_by)
        if verifier is None:
            continue
        if signed_by in checked:
            raise NoteError(f"Two signatures of one key of {signature.name}.")
        verifier.verify(text, signature.data)
        checked[signed_by] = signature
    if not checked:
        raise NoteError("No key that is trusted here has signed this note.")
    return Note(text, tuple(checked.values()))


def _split_note(data: bytes) -> tuple[str, list[str]]:
    if len(data) > NOTE_BYTES_MAX:
        raise NoteError(f"A note has at most {NOTE_BYTES_MAX} bytes.")
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("A note is UTF-8.") from error
    # The text may hold blank lines itself; the last one ends it.
    text, blank, signatures = content.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise NoteError("A note is text, a blank line, and signature lines.")
    _check_text(content)
    lines = signatures[:-1].split("\n")
    if len(lines) > NOTE_SIGNATURES_MAX:
        raise NoteError(f"A note has at most {NOTE_SIGNATURES_MAX} signatures.")
    return text + "\n", lines


def parse_signature(line: str) -> NoteSignature:
    """Parse one signature line, without its newline; nothing is checked.

    Raises:
        NoteError: Not in the form of one.
    """
    name, space, payload_text = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    if not line.startswith(_SIGNATURE_PREFIX) or not space:
        raise NoteError("A signature line is a dash, a name and a signature.")
    _check_name(name)
    try:
        payload = decode_base64(payload_text)
    except EncodingError as error:
        raise NoteError("A signature that is not base64.") from error
    if len(payload) <= _KEY_ID_BYTES:
        raise NoteError("A signature line without a signature.")
    return NoteSignature(name, payload[:_KEY_ID_BYTES], payload[_KEY_ID_BYTES:])


def _check_text(text: str) -> None:
    if not text.endswith("\n") or any(mark < " " and mark != "\n" for mark in text):
        raise NoteError("A note ends in a newline, its only control character.")


def _check_name(name: str) -> None:
    wrong = any(mark <= " " or mark == "+" or mark.isspace() for mark in name)
    if wrong or not 0 < len(name.encode()) <= NAME_BYTES_MAX:
        raise NoteError("A key name has 1 to 255 bytes, no space and no plus sign.")
