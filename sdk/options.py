"""What a consumer may say about a job, with defaults that are safe and cheap.

Data may be seen by the machine only if it is `public`; everything else runs where
the host cannot read it unless the caller says otherwise, and the market refuses what
the class does not allow, whatever is said here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Required, TypedDict

from pydantic import ValidationError

from enclave_sim.errors import LimitsError
from enclave_sim.sandbox.limits import Limits
from ledger.document import describe_validation
from ledger.limits import AMOUNT_MICROCREDITS_MAX
from ledger.statements.order_terms import (
    Assurance,
    DataPolicy,
    Objective,
    Protection,
    Sensitivity,
)
from sdk.errors import InputError

PRICE_MAX_MICROCREDITS = 10**6
"""One credit: five times what the default limits cost on the dearest tier."""

TIMEOUT_S = 120.0
"""Several placements of a default job, one after another, still fit into it."""

PROTECTION_BY_SENSITIVITY: Final[dict[str, Protection]] = {
    "public": "sandbox",
    "internal": "enclave",
    "confidential": "enclave",
    "restricted": "enclave",
}
"""How a function runs unless the caller says. `restricted` asks for attested hardware
on top of this; only encrypted scoring needs none."""

ASSURANCE_BY_PROTECTION: Final[dict[str, Assurance]] = {
    "sandbox": "none",
    "enclave": "simulated",
    "homomorphic": "none",
}


class PolicyOptions(TypedDict, total=False):
    """How sensitive the data is and where it may go. An empty list means any."""

    sensitivity: Required[Sensitivity]
    """`public`, `internal`, `confidential` or `restricted`."""
    categories: Sequence[str]
    """Kinds of data, such as `health`; each adds the market's rules for it."""
    objective: Objective
    """What placement weighs: `price`, `time` or `balanced` (the default)."""
    assurance_min: Assurance
    """The least that an enclave's evidence must show: `simulated` or `hardware`."""
    tiers: Sequence[str]
    """Allowed tiers, such as `edge_site`."""
    jurisdictions: Sequence[str]
    """Allowed jurisdictions, such as `fr`."""
    ownership_domains: Sequence[str]
    """Allowed owners of nodes."""
    contracted_domains: Sequence[str]
    """Owners under contract, who may see `internal` data."""


class JobOptions(PolicyOptions, total=False):
    """A policy, and the bounds of what is paid and waited for."""

    price_max_microcredits: int
    """The most that one job may cost; one credit by default."""
    timeout_s: float
    """How long to wait for each job before giving up; 120 s by default."""


class OffloadOptions(JobOptions, total=False):
    """All that `Market.offload` takes."""

    protection: Protection
    """`sandbox` or `enclave`; by default what the sensitivity asks for."""
    fuel: int
    """Units of work, about 10**9 a second; 2 * 10**10 by default."""
    memory_bytes: int
    """Memory of the run; 256 MiB by default."""
    time_ms: int
    """Wall-clock time of the run; 30 s by default."""
    result_bytes: int
    """Bytes of the result; 1 MiB by default."""


@dataclass(frozen=True)
class JobPlan:
    """Checked options of a job."""

    policy: DataPolicy
    price_max_microcredits: int
    timeout_s: float

    @classmethod
    def of(cls, options: JobOptions, *, protection: Protection) -> "JobPlan":
        """Check options and fill in the defaults.

        Raises:
            InputError: A value is unknown or out of bounds.
        """
        price = options.get("price_max_microcredits", PRICE_MAX_MICROCREDITS)
        timeout_s = options.get("timeout_s", TIMEOUT_S)
        if type(price) is not int or not 0 <= price <= AMOUNT_MICROCREDITS_MAX:
            raise InputError("The highest price is a whole number of micro-credits.")
        if not timeout_s > 0:
            raise InputError("The timeout is a number of seconds above 0.")
        return cls(_data_policy(options, protection), price, timeout_s)


def function_protection(options: OffloadOptions) -> Protection:
    """How a function runs under these options.

    Raises:
        InputError: Functions cannot run under the protection that was asked for.
    """
    default = PROTECTION_BY_SENSITIVITY.get(options["sensitivity"], "enclave")
    protection = options.get("protection", default)
    if protection not in {"sandbox", "enclave"}:
        raise InputError(
            "A function runs in a sandbox or an enclave. To compute on encrypted "
            "data, use a published circuit: market.scorer(...)."
        )
    return protection


def function_limits(options: OffloadOptions) -> Limits:
    """The sandbox's limits under these options.

    Raises:
        InputError: One is out of bounds.
    """
    defaults = Limits()
    try:
        return Limits(
            fuel=options.get("fuel", defaults.fuel),
            memory_bytes=options.get("memory_bytes", defaults.memory_bytes),
            time_ms=options.get("time_ms", defaults.time_ms),
            output_bytes=options.get("result_bytes", defaults.output_bytes),
        )
    except LimitsError as error:
        raise InputError(str(error)) from error


def _data_policy(options: JobOptions, protection: Protection) -> DataPolicy:
    assurance = ASSURANCE_BY_PROTECTION[protection]
    if protection == "enclave" and options["sensitivity"] == "restricted":
        assurance = "hardware"
    try:
        return DataPolicy(
            sensitivity=options["sensitivity"],
            categories=_words(options, "categories"),
            protection=protection,
            objective=options.get("objective", "balanced"),
            assurance_min=options.get("assurance_min", assurance),
            tiers=_words(options, "tiers"),
            jurisdictions=_words(options, "jurisdictions"),
            ownership_domains=_words(options, "ownership_domains"),
            contracted_domains=_words(options, "contracted_domains"),
        )
    except ValidationError as error:
        raise InputError(f"Options of a job: {describe_validation(error)}.") from error


def _words(options: JobOptions, name: str) -> tuple[str, ...]:
    value = options.get(name, ())
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{name} is a list of words, such as [{value!r}].")
    return tuple(value)
