"""One session between a consumer and an enclave: what both must mean by it.

The consumer holds the same values as the enclave only if the evidence was for this
challenge, these keys and this code; everything that is sealed in the session is
sealed for exactly these.
"""

from dataclasses import dataclass

from enclave_sim.attestation.binding import Challenge, EnclaveKeys, report_data
from enclave_sim.channel import Purpose, binding_info, seal


@dataclass(frozen=True, kw_only=True)
class Session:
    """The public facts of a session.

    A consumer makes one from an enclave's answer and the measurement it worked out
    itself, appraises the evidence against it, and only then seals an input.
    """

    challenge: Challenge
    keys: EnclaveKeys
    measurement: bytes
    """Of the code that runs, 48 bytes."""

    @property
    def report_data(self) -> bytes:
        """What the evidence must be bound to, 64 bytes."""
        return report_data(self.challenge, self.keys)

    def info(self, purpose: Purpose) -> bytes:
        """What inputs and results of this session are sealed for."""
        return binding_info(
            purpose,
            job_id=self.challenge.job_id,
            measurement=self.measurement,
            nonce=self.challenge.nonce,
        )

    def seal_input(self, input_json: bytes) -> bytes:
        """Seal an input to the enclave. Only after its evidence was accepted!

        Args:
            input_json: JSON array of the function's positional arguments.

        Raises:
            ChannelError: The input is too large, or the enclave's key is none.
        """
        return seal(self.keys.channel, input_json, info=self.info("input"))
