import pytest

from enclave_sim import channel
from enclave_sim.channel import (
    MLKEM_PUBLIC_BYTES,
    OVERHEAD_BYTES,
    PADDED_BYTES_MIN,
    PLAINTEXT_BYTES_MAX,
    PUBLIC_KEY_BYTES,
    SEED_BYTES,
    ChannelKey,
    binding_info,
    padded_size,
    seal,
)
from enclave_sim.errors import ChannelError

MEASUREMENT = bytes(48)
NONCE = bytes(32)
INFO = binding_info("input", job_id="job_1", measurement=MEASUREMENT, nonce=NONCE)


@pytest.fixture(scope="module")
def key() -> ChannelKey:
    return ChannelKey.generate()


@pytest.mark.parametrize("size", [0, 1, 251, 252, 253, 5000, 300_000])
def test_sealed_message_opens(key: ChannelKey, size: int) -> None:
    plaintext = b"p" * size
    assert key.open(seal(key.public, plaintext, info=INFO), info=INFO) == plaintext


def test_restored_key_opens(key: ChannelKey) -> None:
    assert len(key.public) == PUBLIC_KEY_BYTES
    assert len(key.seed) == SEED_BYTES
    restored = ChannelKey(key.seed)
    assert restored.public == key.public
    assert restored.open(seal(key.public, b"p", info=INFO), info=INFO) == b"p"


@pytest.mark.parametrize(
    "info",
    [
        b"",
        binding_info("result", job_id="job_1", measurement=MEASUREMENT, nonce=NONCE),
        binding_info("input", job_id="job_2", measurement=MEASUREMENT, nonce=NONCE),
        binding_info("input", job_id="job_1", measurement=b"\x01" * 48, nonce=NONCE),
        binding_info("input", job_id="job_1", measurement=MEASUREMENT, nonce=b"\x01"),
    ],
)
def test_message_opens_for_nothing_else(key: ChannelKey, info: bytes) -> None:
    sealed = seal(key.public, b"plaintext", info=INFO)
    with pytest.raises(ChannelError):
        key.open(sealed, info=info)


def test_message_opens_for_no_other_key(key: ChannelKey) -> None:
    sealed = seal(key.public, b"plaintext", info=INFO)
    with pytest.raises(ChannelError):
        ChannelKey.generate().open(sealed, info=INFO)


def test_half_a_key_does_not_open(key: ChannelKey) -> None:
    """Hybrid: whoever holds only one of the two private keys gets nothing."""
    other = ChannelKey.generate()
    sealed = seal(key.public, b"plaintext", info=INFO)
    for seed in (key.seed[:64] + other.seed[64:], other.seed[:64] + key.seed[64:]):
        with pytest.raises(ChannelError):
            ChannelKey(seed).open(sealed, info=INFO)


def test_any_altered_byte_is_refused(key: ChannelKey) -> None:
    sealed = seal(key.public, b"plaintext", info=INFO)
    for index in range(len(sealed)):
        altered = bytearray(sealed)
        altered[index] ^= 1 << index % 8
        with pytest.raises(ChannelError):
            key.open(bytes(altered), info=INFO)


@pytest.mark.parametrize("cut", [0, 1, 1120, 1136])
def test_cut_message_is_refused(key: ChannelKey, cut: int) -> None:
    sealed = seal(key.public, b"plaintext", info=INFO)
    with pytest.raises(ChannelError):
        key.open(sealed[:cut], info=INFO)
    with pytest.raises(ChannelError):
        key.open(sealed + b"\x00", info=INFO)


def test_oversized_message_is_refused(key: ChannelKey) -> None:
    with pytest.raises(ChannelError):
        seal(key.public, bytes(PLAINTEXT_BYTES_MAX + 1), info=INFO)
    with pytest.raises(ChannelError):
        key.open(bytes(2 * PLAINTEXT_BYTES_MAX), info=INFO)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(PUBLIC_KEY_BYTES - 1),
        bytes(PUBLIC_KEY_BYTES + 1),
        b"\xff" * PUBLIC_KEY_BYTES,
    ],
)
def test_what_is_no_key_is_refused(public: bytes) -> None:
    with pytest.raises(ChannelError):
        seal(public, b"plaintext", info=INFO)


def test_point_of_small_order_is_refused(key: ChannelKey) -> None:
    """An X25519 key of zeros would give everyone the same shared secret."""
    weak = key.public[:MLKEM_PUBLIC_BYTES] + bytes(32)
    with pytest.raises(ChannelError):
        seal(weak, b"plaintext", info=INFO)


def test_seed_of_other_size_is_refused() -> None:
    with pytest.raises(ChannelError):
        ChannelKey(bytes(SEED_BYTES - 1))


def test_padding_that_is_not_ours_is_refused(key: ChannelKey) -> None:
    """Only one padded form is right, so nothing can hide in the padding."""
    for padded in (
        b"",
        b"\x00\x00",
        b"\x00\x00\x00\x01",
        b"\x00\x00\x00\x01p",
        (b"\x00\x00\x00\x01p").ljust(PADDED_BYTES_MIN, b"\x00") + b"\x00",
        (b"\x00\x00\x00\x01pq").ljust(PADDED_BYTES_MIN, b"\x00"),
        (b"\x00\x00\xff\xffp").ljust(PADDED_BYTES_MIN, b"\x00"),
    ):
        sealed = _seal_unpadded(key, padded, INFO)
        with pytest.raises(ChannelError):
            key.open(sealed, info=INFO)


def _seal_unpadded(key: ChannelKey, padded: bytes, info: bytes) -> bytes:
    recipient = channel._parse_public_key(key.public)
    return channel._suite().encrypt(padded, recipient, info=info)


def test_short_messages_have_one_length(key: ChannelKey) -> None:
    sizes = {
        len(seal(key.public, b"p" * size, info=INFO))
        for size in range(0, PADDED_BYTES_MIN - 4, 17)
    }
    assert sizes == {PADDED_BYTES_MIN + OVERHEAD_BYTES}


@pytest.mark.parametrize(
    ("size", "padded"),
    [(0, 256), (256, 256), (257, 272), (9, 256), (1_000_000, 1_015_808)],
)
def test_padding_follows_its_rule(size: int, padded: int) -> None:
    assert padded_size(size) == padded


def test_same_plaintext_never_seals_alike(key: ChannelKey) -> None:
    sealed = {seal(key.public, b"plaintext", info=INFO) for _ in range(50)}
    assert len(sealed) == 50
