"""The worked example of the ledger's format, checked as a stranger would check it.

Goal: the document alone is enough to write a verifier. Method: the example is
verified with hashes, JSON and a foreign Ed25519, and with no line of the ledger's code.
"""

import base64
import hashlib
import json
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from document_tables import REFERENCE, read_rows, read_section

from ledger.statements.kinds import KINDS, ChargeStatement

TEXT = (REFERENCE / "ledger-format.md").read_text()
EXAMPLE = TEXT.partition("## Worked example")[2]
BLOCKS = [
    block.rstrip("\n") for block in re.findall(r"```\w*\n(.*?)```", EXAMPLE, re.DOTALL)
]
MARKET, OPENING, ENTRY, VERIFIER_KEY, PROOF = BLOCKS


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def canonical(value: object) -> bytes:
    """Enough of RFC 8785 for ASCII keys and integers."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def verify(key: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def test_market_id_follows_from_its_key() -> None:
    key, account = MARKET.split()
    digest = sha256(b"sixfold/acc/v1\n", base64.b64decode(key))
    assert account == "acc_" + base64.b32encode(digest).decode().lower()[:26]


def test_opening_fits_its_digest() -> None:
    opening = json.loads(OPENING)
    message = canonical([opening["salt"], "amount", opening["value"]])
    digest = text64(sha256(b"sixfold/opening/v1\n", message))
    assert json.loads(ENTRY)["private"] == {"amount": digest}
    assert f"`{digest}`" in EXAMPLE


def test_entry_is_signed_and_canonical() -> None:
    entry = json.loads(ENTRY)
    assert canonical(entry).decode() == ENTRY
    assert len(ENTRY) == int(re.search(r"one line of ([0-9]+) bytes", EXAMPLE)[1])
    (signature,) = entry.pop("signatures")
    message = b"sixfold/statement/v1\n" + canonical(entry)
    key = base64.b64decode(signature["key"])
    verify(key, base64.b64decode(signature["signature"]), message)


def test_digest_and_leaf_hash_are_told() -> None:
    assert f"`{text64(sha256(ENTRY.encode()))}`" in EXAMPLE
    leaf = sha256(b"\x00", ENTRY.encode())
    assert f"`{leaf.hex()}`" in EXAMPLE


def test_proof_leads_to_signed_root() -> None:
    head, _, note = PROOF.partition("\n\n")
    _, index, sibling = head.split("\n")
    text, _, signature_line = note.rpartition("\n\n")
    origin, size, root = text.split("\n")
    assert (index, size) == ("index 2", "3")
    leaf = sha256(b"\x00", ENTRY.encode())
    assert text64(sha256(b"\x01", base64.b64decode(sibling), leaf)) == root
    name, key_id, key_text = VERIFIER_KEY.split("+", 2)
    key = base64.b64decode(key_text)
    assert sha256(name.encode(), b"\n", key)[:4].hex() == key_id
    dash, signer, payload = signature_line.split(" ")
    assert (dash, signer, origin) == ("—", name, name)
    signed = base64.b64decode(payload)
    assert signed[:4].hex() == key_id
    # The text ends in a newline, which is signed as well.
    verify(key[1:], signed[4:], f"{text}\n".encode())


def test_kinds_are_those_of_the_code() -> None:
    table = read_rows(read_section("ledger-format.md", "Kinds"))
    rows = {words(kind)[0]: cells for kind, *cells in table}
    assert list(rows) == list(KINDS)
    for name, (roles, public, private) in rows.items():
        body = KINDS[name]
        assert words(roles) == list(body.roles)
        assert words(public) == [field.alias for field in body.model_fields.values()]
        if body is not ChargeStatement:
            assert set(words(private)) == set(body.private_fields)


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
