import pytest

from ledger.errors import SignatureError
from ledger.mldsa import MlDsaPrivateKey, MlDsaPublicKey

KEY = MlDsaPrivateKey(bytes(range(32)))


def test_signature_verifies() -> None:
    signature = KEY.sign(b"message")
    assert len(signature) == 2_420
    KEY.public.verify(b"message", signature)


def test_signature_of_near_miss_is_refused() -> None:
    signature = KEY.sign(b"message")
    other = MlDsaPrivateKey(bytes(32))
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    for public, message, data in (
        (KEY.public, b"messagf", signature),
        (KEY.public, b"message", flipped),
        (KEY.public, b"message", signature[:-1]),
        (KEY.public, b"message", signature + b"\0"),
        (other.public, b"message", signature),
    ):
        with pytest.raises(SignatureError):
            public.verify(message, data)


@pytest.mark.parametrize("garbage", [b"", b"x", bytes(2_420), b"\xff" * 2_420])
def test_signature_of_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(SignatureError):
        KEY.public.verify(b"message", garbage)


@pytest.mark.parametrize("size", [0, 32, 1_311, 1_313])
def test_public_key_has_its_size(size: int) -> None:
    with pytest.raises(SignatureError):
        MlDsaPublicKey(bytes(size))


def test_any_bytes_of_the_size_are_a_public_key() -> None:
    """All encodings are keys (FIPS 204, algorithm 23); none verifies by chance."""
    for data in (bytes(1_312), b"\xff" * 1_312):
        with pytest.raises(SignatureError):
            MlDsaPublicKey(data).verify(b"message", KEY.sign(b"message"))


def test_private_key_comes_from_its_seed() -> None:
    made = MlDsaPrivateKey.generate()
    assert MlDsaPrivateKey(made.seed).public == made.public
    assert made.public != MlDsaPrivateKey.generate().public
    with pytest.raises(SignatureError):
        MlDsaPrivateKey(bytes(31))


def test_private_key_is_not_shown() -> None:
    assert KEY.seed.hex() not in repr(KEY)
    assert str(KEY.seed) not in str(KEY)
