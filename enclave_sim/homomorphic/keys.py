"""The consumer's side: encrypts rows, opens scores, keeps the key.

The secret key never leaves the object that made it: there is no way to export it, and
messages have no field for it. One key for one job is best, and cheap (20 ms).

Whoever sees exact decryptions of ciphertexts it knows can compute a CKKS key
(Li, Micciancio, eprint 2020/1533). So decrypted scores are for the consumer alone.
They are rounded to far above the noise, which is good hygiene but no proof: scores
that a provider or the market will see need added noise and a fresh key. That holds
for a refusal too: never tell a provider more than that a result was refused.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import SystemRandom, token_bytes
from tempfile import TemporaryDirectory
from typing import Self

from enclave_sim.errors import RowsError
from enclave_sim.homomorphic.canary import Layout, plant_canaries, read_scores
from enclave_sim.homomorphic.guard import parse_result
from enclave_sim.homomorphic.limits import CIPHERTEXTS_MAX, FEATURES_MAX
from enclave_sim.homomorphic.message import MESSAGE_ID_BYTES, Kind, Message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192, Profile
from enclave_sim.homomorphic.seal import (
    encode,
    load_scores,
    open_context,
    save,
    sealapi,
)


@dataclass(frozen=True, slots=True)
class EncryptedRows:
    """A message to send, and what is needed to check its answer.

    Attributes:
        message: The bytes for the provider; about 117 KB for each column and block.
        message_id: 16 bytes that the result repeats.
        layouts: Where the rows are in each block. Secret: a provider that knows
            them can cheat unnoticed.
    """

    message: bytes = field(repr=False)
    message_id: bytes
    layouts: tuple[Layout, ...] = field(repr=False)


class HomomorphicKey:
    """One CKKS secret key. Not for use by several threads at once."""

    def __init__(
        self,
        profile: Profile,
        context: sealapi.SEALContext,
        secret_key: sealapi.SecretKey,
    ) -> None:
        self._profile = profile
        self._context = context
        self._encoder = sealapi.CKKSEncoder(context)
        self._encryptor = sealapi.Encryptor(context, secret_key)
        self._decryptor = sealapi.Decryptor(context, secret_key)

    @classmethod
    def generate(cls, profile: Profile = CKKS_LINEAR_8192) -> Self:
        """Make a fresh key from the operating system's randomness."""
        context = open_context(profile)
        return cls(profile, context, sealapi.KeyGenerator(context).secret_key())

    def encrypt(self, rows: Sequence[Sequence[float]]) -> EncryptedRows:
        """Encrypt rows for scoring, with canaries mixed in.

        Args:
            rows: Shape (rows, features): 1 to 130,304 rows of 1 to 256 numbers,
                each within ±1024; at most 512 ciphertexts. Standardised features
                use the precision best.

        Raises:
            RowsError: The shape is wrong or a value is no number within bounds.
            ProfileError: No rows, or too many for one message.
        """
        checked = self._check_rows(rows)
        layouts, blocks = [], []
        random = SystemRandom()
        size = self._profile.rows_per_block
        with TemporaryDirectory(prefix="sixfold-he-") as scratch:
            for start in range(0, len(checked), size):
                columns, layout = plant_canaries(
                    checked[start : start + size], self._profile, random
                )
                layouts.append(layout)
                blocks.append(
                    tuple(self._encrypt_column(c, Path(scratch)) for c in columns)
                )
        message_id = token_bytes(MESSAGE_ID_BYTES)
        message = Message(Kind.INPUT, self._profile, message_id, tuple(blocks))
        return EncryptedRows(message.encode(), message_id, tuple(layouts))

    def decrypt(
        self, result: bytes, encrypted: EncryptedRows, *, outputs: int
    ) -> list[list[float]]:
        """Open the scores of rows that this key encrypted, and check the canaries.

        Args:
            result: What the provider returned.
            encrypted: What :meth:`encrypt` gave for the rows.
            outputs: How many scores the circuit gives for each row.

        Returns:
            Shape (rows, outputs), in the order of the rows; each within the
            profile's `error_max` (6e-6) of the exact score.

        Raises:
            MessageError: The result is malformed or answers another message.
            CiphertextError: The scores in it are not well formed.
            ResultError: The provider did not compute a linear score of these rows,
                or the rows were encrypted with another key.
        """
        message = parse_result(
            result,
            profile=self._profile,
            message_id=encrypted.message_id,
            blocks=len(encrypted.layouts),
            outputs=outputs,
        )
        rows: list[list[float]] = []
        with TemporaryDirectory(prefix="sixfold-he-") as scratch:
            for block, layout in zip(message.blocks, encrypted.layouts, strict=True):
                columns = [self._open(data, layout, Path(scratch)) for data in block]
                rows += [list(row) for row in zip(*columns, strict=True)]
        return rows

    def _check_rows(self, rows: Sequence[Sequence[float]]) -> list[Sequence[float]]:
        blocks = self._profile.block_count(len(rows))
        checked = [self._check_row(row) for row in rows]
        width = len(checked[0])
        if not 1 <= width <= FEATURES_MAX:
            raise RowsError(f"A row has 1 to {FEATURES_MAX} features.")
        if any(len(row) != width for row in checked):
            raise RowsError("All rows have the same number of features.")
        if width * blocks > CIPHERTEXTS_MAX:
            raise RowsError("Too many rows of this width for one message.")
        return checked

    def _check_row(self, row: Sequence[float]) -> Sequence[float]:
        bound = self._profile.value_max
        try:
            values = array("d", tuple(row))
        except (TypeError, OverflowError) as error:
            raise RowsError("A row is a list of numbers.") from error
        if not all(abs(value) <= bound for value in values):  # nor infinity, nor NaN
            raise RowsError(f"Each value is a number within ±{bound}.")
        return values

    def _encrypt_column(self, values: Sequence[float], scratch: Path) -> bytes:
        level = self._context.first_parms_id()
        plaintext = encode(self._encoder, list(values), self._profile.scale, level)
        return save(self._encryptor.encrypt_symmetric(plaintext), scratch)

    def _open(self, data: bytes, layout: Layout, scratch: Path) -> list[float]:
        ciphertext = load_scores(self._context, data, self._profile, scratch)
        plaintext = sealapi.Plaintext()
        self._decryptor.decrypt(ciphertext, plaintext)
        slots = self._encoder.decode_double(plaintext)
        scores = read_scores(slots, layout, self._profile)
        # Adding zero turns minus zero into zero.
        return [round(score, self._profile.score_decimals) + 0.0 for score in scores]
