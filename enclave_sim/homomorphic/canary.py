"""Extra rows that only the consumer knows of, to catch a provider that cheats.

Encryption hides rows and scores; it does not make anyone compute them. So each block
carries, in slots that only the consumer knows, two kinds of extra rows:

- *anchors*, random rows, whose scores must differ: a constant is no answer;
- *checksums*, each a random ±1 combination of all rows of the block around one
  anchor. A linear score of such a row must be the same combination of the scores,
  whatever the weights are. This is Freivalds' check of a matrix product.

What passing proves, but for a chance of about 2**-16: all scores of the block come
from one and the same linear function of its rows, and not a constant one. So zeros,
random numbers, a stale result, another block's result, or a change of a single
patient's score by more than about 0.001 are caught. What it does not prove: that the
weights are the owner's, that outputs were not exchanged, that two blocks were scored
alike; the consumer does not know the weights. To the provider all slots look equal.

Source: Freivalds, "Probabilistic machines can use less running time", IFIP 1977.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from secrets import SystemRandom

from enclave_sim.errors import ResultError
from enclave_sim.homomorphic.profiles import Profile

ANCHORS = 8
"""Scores of eight random rows are never all alike by chance."""

CHECKSUMS = 16
"""Each halves the chance of a wrong result that goes unnoticed."""

Row = Sequence[float]

_LIVE_SPREAD = 10
"""Anchors' scores must differ by so many times the noise."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """One row that combines all others.

    Attributes:
        slot: Where it sits.
        plus: For each member one byte: 1 if it is added, 0 if subtracted.
        factor: Shrinks the combination into the profile's bounds; at most 1.
    """

    slot: int
    plus: bytes
    factor: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in one block the rows are; as secret as the key.

    Attributes:
        rows: The slot of each of the consumer's rows, in order.
        anchors: The slots of the anchors; the first is the centre of the checksums.
        checksums: The combinations to hold.
    """

    rows: tuple[int, ...]
    anchors: tuple[int, ...]
    checksums: tuple[Checksum, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """The slots that every checksum combines, in order."""
        return self.rows + self.anchors[1:]


def plant_canaries(
    rows: Sequence[Row], profile: Profile, random: SystemRandom
) -> tuple[list[tuple[float, ...]], Layout]:
    """Mix one block's rows with canaries in random order.

    Args:
        rows: Shape (rows, features), at most `rows_per_block`, within `value_max`.
        profile: Says how large a value may be.
        random: Not to be guessed by the provider.

    Returns:
        The block's columns, of shape (features, slots used), and the layout.
    """
    assert profile.canaries == ANCHORS + CHECKSUMS
    assert 1 <= len(rows) <= profile.rows_per_block
    width = len(rows[0])
    anchors = [[random.uniform(-1, 1) for _ in range(width)] for _ in range(ANCHORS)]
    slots = list(range(len(rows) + profile.canaries))
    random.shuffle(slots)
    checksum_slots = slots[len(rows) + ANCHORS :]
    placed = dict(zip(slots, [*rows, *anchors], strict=False))
    columns = list(zip(*rows, *anchors[1:], strict=True))
    checksums = []
    for slot in checksum_slots:
        plus = bytes(byte & 1 for byte in random.randbytes(len(columns[0])))
        placed[slot], factor = _combine(columns, anchors[0], plus, profile)
        checksums.append(Checksum(slot, plus, factor))
    layout = Layout(
        rows=tuple(slots[: len(rows)]),
        anchors=tuple(slots[len(rows) : -CHECKSUMS]),
        checksums=tuple(checksums),
    )
    ordered = [placed[slot] for slot in range(len(slots))]
    return list(zip(*ordered, strict=True)), layout


def read_scores(
    scores: Sequence[float], layout: Layout, profile: Profile
) -> list[float]:
    """Take the rows' scores out of one decrypted column, once the canaries hold.

    Args:
        scores: One decrypted number for each slot.
        layout: Of the block that was scored.
        profile: Says how large the noise is.

    Raises:
        ResultError: A canary shows that this is not what was asked for.
    """
    centre = scores[layout.anchors[0]]
    anchors = [scores[slot] for slot in layout.anchors]
    # Written so that a score which is no number fails too.
    holds = max(anchors) - min(anchors) > _LIVE_SPREAD * profile.noise_max
    members = [scores[slot] for slot in layout.members]
    for checksum in layout.checksums:
        due = centre + checksum.factor * _signed_sum(members, checksum.plus, centre)
        slack = profile.noise_max * _noise_gain(checksum)
        holds = holds and abs(scores[checksum.slot] - due) <= slack
    if not holds:
        raise ResultError("The result is not a score of these rows.")
    return [scores[slot] for slot in layout.rows]


def _combine(
    columns: Sequence[Row], centre: Row, plus: bytes, profile: Profile
) -> tuple[list[float], float]:
    sums = [
        _signed_sum(column, plus, middle)
        for column, middle in zip(columns, centre, strict=True)
    ]
    room = profile.value_max - 1  # the centre takes up to one
    factor = min(1.0, room / max(1.0, *(abs(item) for item in sums)))
    row = [middle + factor * item for middle, item in zip(centre, sums, strict=True)]
    return row, factor


def _signed_sum(values: Row, plus: bytes, centre: float) -> float:
    """Sum up ±(value - centre) over all values."""
    balance = 2 * sum(plus) - len(plus)
    return 2 * sum(compress(values, plus)) - sum(values) - balance * centre


def _noise_gain(checksum: Checksum) -> float:
    """Tell how many times the noise of one score a checksum may be off.

    The centre's error counts once for each unit of imbalance, the members' errors
    are independent and add up like a random walk; the bound of the noise already
    is seven of its standard deviations.
    """
    count = len(checksum.plus)
    balance = abs(2 * sum(checksum.plus) - count)
    return 2 + checksum.factor * (balance + math.sqrt(count))
