"""The one door to SEAL: its parameters, and its objects to and from bytes.

This is the low-level interface that TenSEAL bundles. TenSEAL's own vectors are not
used: they trust the counts that a message claims, rescale after every product, and
reset a scale without a word. Here one rescaling serves a whole sum, the scale is
exact (errors of 1e-8 where vectors have 3e-6), and a column goes out at half the
size, because SEAL replaces its random half by a seed.

In Python this interface reads and writes files only, hence the scratch folders.
"""

import struct
from pathlib import Path

# The extension inside TenSEAL: to import `tenseal` itself loads numpy too, and costs
# each evaluating process a tenth of a second.
import _sealapi_cpp as sealapi  # type: ignore[import-not-found]

from enclave_sim.errors import CiphertextError
from enclave_sim.homomorphic.guard import SEAL_HEADER, SEAL_MAGIC
from enclave_sim.homomorphic.profiles import Profile

__all__ = [
    "encode",
    "load_ciphertext",
    "load_scores",
    "open_context",
    "pack_scores",
    "save",
    "sealapi",
]

# C++ exceptions as pybind11 translates them: runtime_error and logic_error,
# invalid_argument, out_of_range, overflow_error, bad_alloc.
SEAL_ERRORS = (RuntimeError, ValueError, IndexError, OverflowError, MemoryError)

_UNCOMPRESSED = 0
_SCORES = struct.Struct("<4QBQQQdQ")
_COUNT = struct.Struct("<Q")


def open_context(profile: Profile) -> sealapi.SEALContext:
    """Build SEAL's context for a profile; SEAL checks that it has 128-bit security."""
    parameters = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(profile.degree)
    parameters.set_coeff_modulus([sealapi.Modulus(prime) for prime in profile.moduli])
    context = sealapi.SEALContext(parameters, True, sealapi.SEC_LEVEL_TYPE.TC128)
    assert context.parameters_set()
    return context


def encode(
    encoder: sealapi.CKKSEncoder,
    values: list[float] | float,
    scale: float,
    level: list[int],
) -> sealapi.Plaintext:
    """Turn numbers (one for each slot, or one for all) into a plaintext.

    Args:
        encoder: Of the profile's context; it holds tables, so it is made once.
        values: Within the profile's bounds.
        scale: What they are multiplied by before they are rounded.
        level: SEAL's id of the parameters, fresh or rescaled.
    """
    plaintext = sealapi.Plaintext()
    encoder.encode(values, level, scale, plaintext)
    return plaintext


def save(value: object, scratch: Path) -> bytes:
    """Give the bytes in which SEAL writes one of its objects."""
    file = scratch / "saved"
    value.save(str(file))  # type: ignore[attr-defined]
    return file.read_bytes()


def load_ciphertext(
    context: sealapi.SEALContext, data: bytes, scratch: Path
) -> sealapi.Ciphertext:
    """Read a ciphertext with SEAL's own checks.

    Raises:
        CiphertextError: SEAL does not accept it under these parameters.
    """
    file = scratch / "loaded"
    file.write_bytes(data)
    ciphertext = sealapi.Ciphertext()
    try:
        ciphertext.load(context, str(file))
    except SEAL_ERRORS as error:
        raise CiphertextError("SEAL refuses the ciphertext.") from error
    return ciphertext


def pack_scores(ciphertext: sealapi.Ciphertext, profile: Profile) -> bytes:
    """Give the bare coefficients of a finished score column, little-endian."""
    coefficients = [ciphertext[index] for index in range(2 * profile.degree)]
    return struct.pack(f"<{len(coefficients)}Q", *coefficients)


def load_scores(
    context: sealapi.SEALContext, coefficients: bytes, profile: Profile, scratch: Path
) -> sealapi.Ciphertext:
    """Read a score column from coefficients that the guard has checked.

    Every byte but the coefficients is written here, so SEAL parses nothing that
    comes from a provider.
    """
    array = _COUNT.pack(2 * profile.degree) + coefficients
    body = _SCORES.pack(
        *context.last_parms_id(), True, 2, profile.degree, 1, profile.result_scale, 1
    )
    body += _wrap(array)
    return load_ciphertext(context, _wrap(body), scratch)


def _wrap(body: bytes) -> bytes:
    """Put SEAL's header for uncompressed data before a body."""
    version = sealapi.Serialization.SEALHeader()
    header = SEAL_HEADER.pack(
        SEAL_MAGIC,
        SEAL_HEADER.size,
        version.version_major,
        version.version_minor,
        _UNCOMPRESSED,
        0,
        SEAL_HEADER.size + len(body),
    )
    return header + body
