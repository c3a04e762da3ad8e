"""A table from names to numbers that takes a tenth of the memory of a dict.

An audit has to remember every id that a log has used, to see that none is used twice:
millions of them. Here a name takes 14 bytes and its number as many as are asked for.
"""

import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Self

from pydantic import PlainSerializer, PlainValidator

from ledger.encoding import decode_base64, encode_base64
from ledger.errors import EncodingError

KEY_BYTES = 16

_DIGEST_BYTES = 16
_BUCKETS = 2**16
_COUNT_BYTES = 4
_REST_BYTES = _DIGEST_BYTES - 2


class CompactTable:
    """Names of any length, each with a number, in buckets by the name's digest.

    Two names of one digest of 128 bits would count as one; nobody can find two. The
    digest has a secret key, so that nobody can choose names that fill one bucket.
    """

    def __init__(self, *, number_bytes: int = 0, key: bytes | None = None) -> None:
        """Start empty.

        Args:
            number_bytes: How many bytes the largest number takes; 0 for no numbers.
            key: Of an earlier table that is filled again; else a new secret one.
        """
        self._key = secrets.token_bytes(KEY_BYTES) if key is None else key
        self.number_bytes = number_bytes
        self._record_bytes = _REST_BYTES + number_bytes
        self._buckets = [b""] * _BUCKETS
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: str) -> bool:
        return self._find(*self._place(name)) is not None

    def get(self, name: str) -> int | None:
        """The number of a name; None if the name is not there."""
        bucket, rest = self._place(name)
        at = self._find(bucket, rest)
        return None if at is None else self._number(bucket, at)

    def add(self, name: str, number: int = 0) -> bool:
        """Add a name that is not there yet; False if it is, and then it stays."""
        bucket, rest = self._place(name)
        if self._find(bucket, rest) is not None:
            return False
        self._buckets[bucket] += rest + number.to_bytes(self.number_bytes, "big")
        self._count += 1
        return True

    def pop(self, name: str) -> int | None:
        """Remove a name and return its number; None if it was not there."""
        bucket, rest = self._place(name)
        at = self._find(bucket, rest)
        if at is None:
            return None
        number = self._number(bucket, at)
        records = self._buckets[bucket]
        self._buckets[bucket] = records[:at] + records[at + self._record_bytes :]
        self._count -= 1
        return number

    def numbers(self) -> Iterator[int]:
        """Yield all numbers, in no order."""
        for bucket, records in enumerate(self._buckets):
            for at in range(0, len(records), self._record_bytes):
                yield self._number(bucket, at)

    def to_bytes(self) -> bytes:
        """All of it, for `from_bytes`."""
        counts = (
            (len(records) // self._record_bytes).to_bytes(_COUNT_BYTES, "big")
            for records in self._buckets
        )
        head = bytes([self.number_bytes]) + self._key
        return b"".join((head, *counts, *self._buckets))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            EncodingError: It is something else.
        """
        counts_at = 1 + KEY_BYTES
        at = counts_at + _COUNT_BYTES * _BUCKETS
        if len(data) < at:
            raise EncodingError("A table that ends early.")
        table = cls(number_bytes=data[0], key=data[1:counts_at])
        for bucket in range(_BUCKETS):
            place = counts_at + _COUNT_BYTES * bucket
            count = int.from_bytes(data[place : place + _COUNT_BYTES], "big")
            table._buckets[bucket] = data[at : at + count * table._record_bytes]
            at += count * table._record_bytes
            table._count += count
        if at != len(data):
            raise EncodingError("A table of another length than it says.")
        return table

    def _place(self, name: str) -> tuple[int, bytes]:
        digest = sha256(self._key + name.encode()).digest()
        return digest[0] << 8 | digest[1], digest[2:_DIGEST_BYTES]

    def _find(self, bucket: int, rest: bytes) -> int | None:
        records = self._buckets[bucket]
        at = records.find(rest)
        # What is found may also lie across two records.
        while at >= 0 and at % self._record_bytes:
            at = records.find(rest, at + 1)
        return None if at < 0 else at

    def _number(self, bucket: int, at: int) -> int:
        end = at + self._record_bytes
        return int.from_bytes(self._buckets[bucket][at + _REST_BYTES : end], "big")


def _parse(value: object) -> CompactTable:
    if isinstance(value, CompactTable):
        return value
    try:
        return CompactTable.from_bytes(decode_base64(str(value)))
    except EncodingError as error:
        raise ValueError(str(error)) from error


TableField = Annotated[
    CompactTable,
    PlainValidator(_parse),
    PlainSerializer(lambda table: encode_base64(table.to_bytes()), return_type=str),
]
"""A table as a field of a document: base64 in JSON."""
