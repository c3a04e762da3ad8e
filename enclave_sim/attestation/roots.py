"""The roots of trust: digests of the vendors' root keys, and what each is worth.

A pin is the SHA-256 of the DER SubjectPublicKeyInfo of a root certificate's key.
What a root can assure is decided here and nowhere else: no policy and no evidence
can turn a simulated root into hardware.
"""

from typing import Literal

Assurance = Literal["hardware", "simulated", "none"]
"""`hardware`: a real vendor's root vouches. `simulated`: only a development root
does, which proves nothing about the machine. `none`: no accepted root does."""

AMD_MILAN_ROOT = bytes.fromhex(
    "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9"
)
"""ARK-Milan. Source: https://kdsintf.amd.com/vcek/v1/Milan/cert_chain, as published
in confidential-containers/trustee (`milan_ask_ark_asvk.pem`)."""

AMD_GENOA_ROOT = bytes.fromhex(
    "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831"
)
"""ARK-Genoa. Source: https://kdsintf.amd.com/vcek/v1/Genoa/cert_chain, as published
in confidential-containers/trustee and google/go-sev-guest."""

AMD_TURIN_ROOT = bytes.fromhex(
    "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08"
)
"""ARK-Turin. Source: https://kdsintf.amd.com/vcek/v1/Turin/cert_chain, as published
in google/go-sev-guest."""

SIMULATED_ROOT = bytes.fromhex(
    "ac2b077fcfa75ccc4199067d9361edbb40c02802f4d85b659a2e715ae6afa5ff"
)
"""ARK-Simulated: the development vendor's root, derived from its public default seed
(`enclave_sim.attestation.vendor.PUBLIC_SEED`). Whoever reads this can sign under it."""

HARDWARE_ROOTS = frozenset({AMD_MILAN_ROOT, AMD_GENOA_ROOT, AMD_TURIN_ROOT})
"""All roots whose evidence counts as hardware."""


def assurance_of_root(pin: bytes) -> Assurance:
    """Say what evidence under an accepted root is worth.

    Args:
        pin: SHA-256 of the root's SubjectPublicKeyInfo, 32 bytes.
    """
    return "hardware" if pin in HARDWARE_ROOTS else "simulated"
