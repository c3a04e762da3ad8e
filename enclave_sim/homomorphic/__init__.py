"""Scores rows that the machine cannot read: CKKS encryption, by way of TenSEAL.

The consumer's key encrypts rows (`keys`), anyone can check the message and its price
(`guard`, `circuit`), a provider scores it unread (`evaluator`), and the key opens the
scores and checks that they were computed (`canary`).

Unlike the rest of this package nothing here is simulated: the provider cannot read
rows or scores, by mathematics and not by trust in hardware. It does see the weights.

Importing this needs no TenSEAL, but `keys` and `evaluator_worker` do; take
:class:`~enclave_sim.homomorphic.keys.HomomorphicKey` from its own module.
"""

from enclave_sim.homomorphic.circuit import LinearCircuit, parse_circuit
from enclave_sim.homomorphic.evaluator import evaluate
from enclave_sim.homomorphic.guard import parse_input, parse_result
from enclave_sim.homomorphic.message import Kind, Message, parse_message
from enclave_sim.homomorphic.profiles import CKKS_LINEAR_8192, Profile, find_profile

__all__ = [
    "CKKS_LINEAR_8192",
    "Kind",
    "LinearCircuit",
    "Message",
    "Profile",
    "evaluate",
    "find_profile",
    "parse_circuit",
    "parse_input",
    "parse_message",
    "parse_result",
]
