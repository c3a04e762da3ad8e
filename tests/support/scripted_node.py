"""A node that does its work in this process, and cheats where a test says so."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from parties import Provider, digest, now_ms, statement_json

from enclave_sim.attestation import Attestation, Challenge, EnclaveKeys
from enclave_sim.attestation.vendor import SimulatedChip
from enclave_sim.challenge import attempt_nonce
from enclave_sim.channel import ChannelKey
from enclave_sim.homomorphic import evaluate, parse_circuit
from enclave_sim.sandbox.engine_identity import ENGINE_ID
from enclave_sim.sandbox.outcome import FailureCode, Outcome
from enclave_sim.sealed_result import seal_result
from enclave_sim.session import Session
from ledger.charging.tariff import RatingGroup
from ledger.encoding import decode_base64
from ledger.metering.usage import Usage, quantity_fields
from ledger.signing import PrivateKey
from ledger.statements.disclosure import (
    commit_openings,
    conceal,
    conceal_numbers,
    digest_openings,
    openings_json,
)
from ledger.statements.kinds import SliceStatement
from ledger.statements.order_terms import JobLimits
from ledger.statements.statement import Statement
from sdk.errors import MarketRefusedError
from sdk.payloads import encode_outcome, receive_payload, send_payload
from sdk.runs import homomorphic_usage, launch_record, python_usage

FUEL = 1_234_567
NODE_AGENT = "/node-agent/v0.1"


def unchanged(value: Any) -> Any:
    return value


@dataclass
class Cheats:
    """What a node changes before it sends it; nothing by default."""

    fields: Callable[[dict[str, Any]], dict[str, Any]] = unchanged
    """The private fields of the slice."""
    numbers: Callable[[dict[str, int]], dict[str, int]] = unchanged
    """Its quantities."""
    record_key: Callable[[bytes], bytes] = unchanged
    """What blinds them."""
    commitments: Callable[[dict[str, str]], dict[str, str]] = unchanged
    """What commits to them, before it is signed."""
    openings: Callable[[dict[str, Any]], dict[str, Any]] = unchanged
    """What is said to open the slice."""
    result: Callable[[bytes], bytes] = unchanged
    """The result payload, before the slice names its digest."""
    evidence: Callable[[Attestation], Attestation] = unchanged
    challenge: Callable[[Challenge], Challenge] = unchanged
    source: Callable[[str], str] = unchanged
    """What is measured and run in the enclave."""
    chip_options: dict[str, Any] = field(default_factory=dict)


class ScriptedNode:
    """Takes jobs in a thread of its own, until it is closed."""

    def __init__(
        self, provider: Provider, chip: SimulatedChip | None = None, **offer: Any
    ) -> None:
        self.provider = provider
        self.cheats = Cheats()
        self.is_deaf = False
        """Whether it takes leases and then does nothing with them."""
        self.has_taken = threading.Event()
        self._chip = chip
        self._closed = threading.Event()
        self._market = provider.node.get("/market/v0.1/description")["market"]
        provider.register()
        provider.publish_offer(**offer)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def node_id(self) -> str:
        return self.provider.node.key.node_id

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self.provider.close()

    def _work(self) -> None:
        while not self._closed.is_set():
            leases = self.provider.take(limit=16, wait_ms=100)
            if leases:
                self.has_taken.set()
            if self.is_deaf:
                continue
            done = [self._run(lease) for lease in leases]
            slices = [item for item in done if item is not None]
            if slices:
                self.provider.report(*slices)

    def _run(self, lease: Any) -> Any:
        try:
            match lease["protection"]:
                case "sandbox":
                    return self._run_sandbox(lease)
                case "enclave":
                    return self._run_enclave(lease)
                case _:
                    return self._run_homomorphic(lease)
        except MarketRefusedError:
            return None

    def _run_sandbox(self, lease: Any) -> Any:
        data = self._fetch(lease, "input", lease["input"])
        outcome = run_function(lease["source"], lease["workload"]["entry"], data)
        result = encode_outcome(outcome)
        return self._python_slice(lease, outcome, data, result)

    def _run_enclave(self, lease: Any) -> Any:
        assert self._chip is not None
        source = self.cheats.source(lease["source"])
        channel, result_key = ChannelKey.generate(), PrivateKey.generate()
        session = Session(
            challenge=self.cheats.challenge(make_challenge(lease, market=self._market)),
            keys=EnclaveKeys(channel=channel.public, result=result_key.public.data),
            measurement=launch_record(
                runner=self.provider.runner,
                source=source,
                entry=lease["workload"]["entry"],
                limits=JobLimits.from_json(lease["limits"]),
                engine_id=ENGINE_ID,
            ).measurement,
        )
        evidence = self._chip.report(
            measurement=session.measurement,
            report_data=session.report_data,
            **self.cheats.chip_options,
        )
        attestation = self.cheats.evidence(Attestation(evidence, session.keys))
        path = f"{NODE_AGENT}/leases/{lease['jobId']}"
        transport = self.provider.node.transport
        report = {
            "attempt": lease["attempt"],
            "evidence": send_payload(transport, attestation.encode()),
        }
        transport.post_json(f"{path}/evidence", report)
        described = self._await_input(path, lease["attempt"])
        if described is None:
            return None
        sealed = self._fetch(lease, "sealed_input", described)
        data = channel.open(sealed, info=session.info("input"))
        outcome = run_function(source, lease["workload"]["entry"], data)
        result = seal_result(outcome, session, sealed_input=sealed, key=result_key)
        return self._python_slice(lease, outcome, sealed, result.encode())

    def _run_homomorphic(self, lease: Any) -> Any:
        data = self._fetch(lease, "input", lease["input"])
        circuit = parse_circuit(decode_base64(lease["circuit"]))
        rows = lease["limits"]["rows"]
        result = evaluate(circuit, data, rows=rows, timeout_s=60)
        usage = homomorphic_usage(
            operations=circuit.cost_operations(rows),
            input_bytes=len(data),
            result_bytes=len(result),
        )
        return self._slice(lease, "succeeded", usage, data, result)

    def _await_input(self, path: str, attempt: int) -> Any:
        while not self._closed.is_set():
            answer = self.provider.node.get(
                f"{path}/sealed-input", attempt=attempt, waitMs=100
            )
            if answer["input"] is not None:
                return answer["input"]
        return None

    def _fetch(self, lease: Any, name: str, described: Any) -> bytes:
        return receive_payload(
            self.provider.node.transport,
            described,
            job_id=lease["jobId"],
            name=name,
            size_max=2**26,
        )

    def _python_slice(
        self, lease: Any, outcome: Outcome, data: bytes, result: bytes
    ) -> Any:
        usage = python_usage(
            JobLimits.from_json(lease["limits"]),
            fuel=outcome.fuel,
            input_bytes=len(data),
            result_bytes=len(result),
        )
        return self._slice(lease, outcome.status, usage, data, result)

    def _slice(
        self, lease: Any, status: str, usage: Usage, data: bytes, result: bytes
    ) -> Any:
        result = self.cheats.result(result)
        cheats, key = self.cheats, self.provider.node.key
        groups = [RatingGroup(group) for group in lease["ratingGroups"]]
        openings = conceal_numbers(
            cheats.numbers(quantity_fields(usage.quantities(), groups)),
            cheats.record_key(decode_base64(lease["recordKey"])),
            lease["agreement"],
            0,
        )
        fields = {
            "outcome": status,
            "input_digest": digest(data),
            "result_digest": digest(result),
        }
        openings |= conceal(cheats.fields(fields))
        body = SliceStatement(
            job_id=lease["jobId"],
            agreement=lease["agreement"],
            node=self.node_id,
            consumer=lease["consumer"],
            sequence=0,
            finished_at_ms=now_ms(),
        )
        commitments = cheats.commitments(commit_openings(openings))
        statement = Statement(body, digest_openings(openings), commitments)
        return {
            "jobId": lease["jobId"],
            "attempt": lease["attempt"],
            "slice": statement_json(statement.signed_by("node", key)),
            "openings": cheats.openings(openings_json(openings)),
            "result": send_payload(self.provider.node.transport, result),
        }


def make_challenge(lease: Any, *, market: str) -> Challenge:
    recipient = lease["recipient"]
    return Challenge(
        nonce=attempt_nonce(decode_base64(recipient["challenge"]), lease["attempt"]),
        job_id=lease["jobId"],
        consumer=lease["consumer"],
        audience=market,
        recipient=decode_base64(recipient["publicKey"]),
    )


def run_function(source: str, entry: str, data: bytes) -> Outcome:
    """What the sandbox would make of it, without a sandbox."""
    names: dict[str, Any] = {}
    exec(compile(source, "job.py", "exec"), names)  # noqa: S102 - the tests' own
    try:
        value = names[entry](*json.loads(data))
    except ValueError as error:
        line = error.__traceback__.tb_next.tb_lineno  # type: ignore[union-attr]
        return Outcome.failed(
            FailureCode.RAISED, f"ValueError: {error}", fuel=FUEL, line=line
        )
    text = json.dumps(value, separators=(",", ":"))
    return Outcome(status="succeeded", result=text.encode(), log=b"", fuel=FUEL)
