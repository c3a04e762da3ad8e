"""What a job may use, and how large a job may be."""

from dataclasses import asdict, dataclass
from typing import Self

from enclave_sim.errors import JobError, LimitsError
from ledger.encoding import Json

FUEL_MAX = 10**14
"""Some hours of work; longer jobs are better cut into pieces."""

MEMORY_BYTES_MIN = 32 * 2**20
"""The interpreter itself needs 15 MiB before it runs anything."""

MEMORY_BYTES_MAX = 2 * 2**30
"""Half of what a 32-bit component can address; the other half is the host's."""

TIME_MS_MAX = 6 * 3_600_000
"""Twice what the most fuel takes on a fast machine."""

OUTPUT_BYTES_MAX = 16 * 2**20
"""A result travels in one message and is held in memory by every party."""

SOURCE_BYTES_MAX = 256 * 1024
"""A long module has 100 KB; sources are measured and kept by the market."""

ENTRY_LENGTH_MAX = 128
"""Characters; longer than any name that a person wrote."""

INPUT_BYTES_MAX = 16 * 2**20
"""As for the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one run; measured with the code, and named in the agreement.

    Attributes:
        fuel: Units of metered work, 1 to 10**14; a second makes 10**9 to 10**10.
        memory_bytes: Linear memory of the instance, 32 MiB to 2 GiB; the limit is
            what is charged, not the peak.
        time_ms: Wall-clock time, 1 ms to 6 h; stops what a slow host cannot finish.
        output_bytes: Bytes of the result, 1 to 16 MiB.

    Raises:
        LimitsError: One of them is no integer or out of bounds.
    """

    fuel: int = 2 * 10**10
    memory_bytes: int = 256 * 2**20
    time_ms: int = 30_000
    output_bytes: int = 2**20

    def __post_init__(self) -> None:
        _check("fuel", self.fuel, 1, FUEL_MAX)
        _check("memory_bytes", self.memory_bytes, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX)
        _check("time_ms", self.time_ms, 1, TIME_MS_MAX)
        _check("output_bytes", self.output_bytes, 1, OUTPUT_BYTES_MAX)

    def to_json(self) -> dict[str, Json]:
        """The limits by name, for canonical JSON."""
        return dict(asdict(self))

    @classmethod
    def parse(cls, value: Json) -> Self:
        """Read limits from a document; every field must be there and no other.

        Raises:
            LimitsError: A field is missing, unknown, no integer or out of bounds.
        """
        if not isinstance(value, dict) or set(value) != set(cls.__slots__):
            raise LimitsError("Limits have exactly fuel, memory, time and output.")
        return cls(**value)  # type: ignore[arg-type]  # checked by __post_init__


def verify_job(source: str, entry: str, input_json: bytes) -> None:
    """Check that a job is of a size that the sandbox takes.

    Whether it compiles and runs is found out inside, and is the job's outcome.

    Raises:
        JobError: A part is too large, or is text that has no UTF-8 form.
    """
    try:
        source_bytes, entry_bytes = source.encode("utf-8"), entry.encode("utf-8")
    except UnicodeEncodeError as error:
        raise JobError("The source is not text in UTF-8.") from error
    if len(source_bytes) > SOURCE_BYTES_MAX:
        raise JobError(f"The source has more than {SOURCE_BYTES_MAX} bytes.")
    if len(entry_bytes) > ENTRY_LENGTH_MAX:
        raise JobError(f"The entry's name has more than {ENTRY_LENGTH_MAX} bytes.")
    if len(input_json) > INPUT_BYTES_MAX:
        raise JobError(f"The input has more than {INPUT_BYTES_MAX} bytes.")


def _check(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise LimitsError(f"The limit {name} must be an integer in {least}..{most}.")
