"""Makes jobs of calls: what all orders of one function have in common, worked out once.

The measurement that an enclave must show follows from the function, its limits, the
market's runner and our engine alone, so it is known before there is any enclave.
"""

import os
from dataclasses import dataclass
from functools import cached_property

from enclave_sim.challenge import CHALLENGE_BYTES
from enclave_sim.channel import ChannelKey
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.limits import Limits
from ledger.encoding import encode_base64, sha256_text
from ledger.statements.order_terms import JobLimits, Recipient, WorkloadReference
from sdk.options import JobPlan, OffloadOptions, function_limits, function_protection
from sdk.order import Draft, Order, job_limits, sign_order
from sdk.python_work import EnclaveWork, SandboxWork
from sdk.runs import launch_record, payload_limit, sandbox_limits, sealed_bytes
from sdk.session import Session
from sdk.source import FunctionSource
from sdk.work import Work


@dataclass(frozen=True)
class FunctionOrders:
    """One function under one policy; gives a signed order for each input."""

    source: FunctionSource
    plan: JobPlan
    limits: Limits

    @classmethod
    def of(cls, source: FunctionSource, options: OffloadOptions) -> "FunctionOrders":
        """Check the options that a function is offloaded with.

        Raises:
            InputError: One is unknown or out of bounds.
        """
        plan = JobPlan.of(options, protection=function_protection(options))
        orders = cls(source, plan, function_limits(options))
        orders._job_limits(input_bytes=0)  # refused now rather than at the first call
        return orders

    @property
    def timeout_s(self) -> float:
        """How long to wait for each job."""
        return self.plan.timeout_s

    @property
    def sandbox_limits(self) -> Limits:
        """What the sandbox gets, here or anywhere."""
        return sandbox_limits(self._job_limits(input_bytes=0))

    def work(self, arguments: bytes, session: Session) -> Work:
        """A signed order for one input, with what opens its result.

        Args:
            arguments: The input in the clear, JSON.
            session: In whose name it is ordered.

        Raises:
            ExtraMissingError: For an enclave, the engine's identity is not installed.
        """
        if self.plan.policy.protection == "enclave":
            return self._enclave_work(arguments, session)
        limits = self._job_limits(input_bytes=len(arguments))
        order = self._sign(session, limits, arguments, recipient=None)
        return SandboxWork(order, self.source)

    def _enclave_work(self, arguments: bytes, session: Session) -> EnclaveWork:
        limits = self._job_limits(input_bytes=sealed_bytes(len(arguments)))
        key = ChannelKey.generate()
        recipient = Recipient(
            public_key=encode_base64(key.public),
            challenge=encode_base64(os.urandom(CHALLENGE_BYTES)),
        )
        return EnclaveWork(
            order=self._sign(session, limits, None, recipient),
            source=self.source,
            arguments=arguments,
            key=key,
            measurement=self._measurement(session, limits),
            audience=session.market,
        )

    def _sign(
        self,
        session: Session,
        limits: JobLimits,
        data: bytes | None,
        recipient: Recipient | None,
    ) -> Order:
        draft = Draft(
            workload=self._reference,
            policy=self.plan.policy,
            limits=limits,
            price_max_microcredits=self.plan.price_max_microcredits,
            source=self.source.text,
            input=data,
            recipient=recipient,
        )
        return sign_order(draft, key=session.key, now_ms=session.now_ms())

    @cached_property
    def _reference(self) -> WorkloadReference:
        return WorkloadReference(
            kind="python_source",
            content=sha256_text(self.source.text.encode("utf-8")),
            entry=self.source.entry,
        )

    def _job_limits(self, *, input_bytes: int) -> JobLimits:
        return job_limits(
            fuel=self.limits.fuel,
            memory_bytes=self.limits.memory_bytes,
            time_ms=self.limits.time_ms,
            input_bytes=input_bytes,
            output_bytes=payload_limit(self.limits.output_bytes),
        )

    def _measurement(self, session: Session, limits: JobLimits) -> bytes:
        record = launch_record(
            runner=session.runner,
            source=self.source.text,
            entry=self.source.entry,
            limits=limits,
            engine_id=ENGINE_ID,
        )
        return record.measurement
