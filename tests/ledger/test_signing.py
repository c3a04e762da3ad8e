"""Ed25519 keys of parties, against the vectors of RFC 8032."""

import pytest

from ledger.errors import SignatureError
from ledger.signing import PrivateKey, PublicKey

# RFC 8032, section 7.1, tests 1 and 2: seed, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors_hold(vector: tuple[str, str, str, str]) -> None:
    seed, public, message, signature = map(bytes.fromhex, vector)
    key = PrivateKey(seed)
    assert key.seed == seed
    assert key.public.data == public
    assert key.sign(message) == signature
    key.public.verify(message, signature)


def test_changed_message_or_signature_is_refused() -> None:
    key = PrivateKey(bytes(32))
    signature = key.sign(b"message")
    near = [
        (b"messagE", signature),
        (b"", signature),
        (b"message", signature[:-1]),
        (b"message", signature + b"\x00"),
        (b"message", bytes(64)),
        *(
            (
                b"message",
                signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :],
            )
            for at in range(64)
        ),
    ]
    for message, changed in near:
        with pytest.raises(SignatureError):
            key.public.verify(message, changed)


def test_second_spelling_of_a_signature_is_refused() -> None:
    """The scalar plus the group's order would verify, were it not checked."""
    key = PrivateKey(bytes(32))
    signature = key.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(SignatureError):
        key.public.verify(b"message", signature[:32] + scalar.to_bytes(32, "little"))


def test_other_key_is_refused() -> None:
    signature = PrivateKey(bytes(32)).sign(b"message")
    with pytest.raises(SignatureError):
        PrivateKey(b"1" * 32).public.verify(b"message", signature)


def test_key_of_small_order_is_refused() -> None:
    """Under such a key a signature of nobody would hold for many messages."""
    identity = PublicKey(b"\x01" + bytes(31))
    with pytest.raises(SignatureError):
        identity.verify(b"message", b"\x01" + bytes(63))


def test_ids_follow_from_the_key() -> None:
    key = PrivateKey(bytes(32))
    assert key.account_id == key.public.account_id
    assert key.node_id == key.public.node_id
    assert key.account_id.removeprefix("acc_") != key.node_id.removeprefix("node_")
    assert key.account_id == "acc_b4uytqwhjpsbywv4vhr7qbhzhw"


def test_text_reads_back() -> None:
    public = PrivateKey(bytes(32)).public
    assert PublicKey.from_text(public.text) == public


@pytest.mark.parametrize("text", ["", "AAAA", "A" * 44, "é", "A" * 43 + "=\n"])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        PublicKey.from_text(text)


def test_sizes_are_checked() -> None:
    for size in (0, 31, 33):
        with pytest.raises(SignatureError):
            PublicKey(bytes(size))
        with pytest.raises(SignatureError):
            PrivateKey(bytes(size))


def test_private_key_is_never_shown() -> None:
    key = PrivateKey.generate()
    assert key.seed.hex() not in repr(key)
    assert PrivateKey.generate().seed != key.seed
