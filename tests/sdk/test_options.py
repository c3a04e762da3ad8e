import pytest

from enclave_sim.sandbox.limits import Limits
from sdk.errors import InputError
from sdk.function_orders import FunctionOrders
from sdk.options import JobPlan, function_limits, function_protection
from sdk.source import FunctionSource

SOURCE = FunctionSource("def f(): pass\n", "f", "job.py", 1)


@pytest.mark.parametrize(
    ("sensitivity", "protection", "assurance"),
    [
        ("public", "sandbox", "none"),
        ("internal", "enclave", "simulated"),
        ("confidential", "enclave", "simulated"),
        ("restricted", "enclave", "hardware"),
    ],
)
def test_sensitivity_chooses_protection(sensitivity, protection, assurance) -> None:
    plan = FunctionOrders.of(SOURCE, {"sensitivity": sensitivity}).plan
    assert plan.policy.protection == protection
    assert plan.policy.assurance_min == assurance


def test_scoring_needs_no_assurance() -> None:
    plan = JobPlan.of({"sensitivity": "restricted"}, protection="homomorphic")
    assert plan.policy.assurance_min == "none"


@pytest.mark.parametrize(
    "options",
    [
        {"sensitivity": "secret"},
        {"categories": "health"},
        {"categories": ["Health"]},
        {"tiers": [1]},
        {"objective": "beauty"},
        {"assurance_min": "much"},
        {"jurisdictions": {"de"}},
        {"price_max_microcredits": -1},
        {"price_max_microcredits": 1.5},
        {"price_max_microcredits": 2**60},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
        {"protection": "homomorphic"},
        {"protection": "prayer"},
        {"fuel": 0},
        {"fuel": 10**14},
        {"memory_bytes": 2**20},
        {"time_ms": 4_000_000},
        {"result_bytes": 2**25},
    ],
)
def test_option_out_of_bounds_is_refused(options) -> None:
    with pytest.raises(InputError):
        FunctionOrders.of(SOURCE, {"sensitivity": "public"} | options)


def test_sandbox_gets_the_limits_that_were_asked_for() -> None:
    for result_bytes in (1, 7, 1000, 2**20 + 1, 2**24):
        orders = FunctionOrders.of(
            SOURCE, {"sensitivity": "public", "result_bytes": result_bytes}
        )
        assert orders.sandbox_limits == orders.limits
        assert orders.limits.output_bytes == result_bytes


def test_defaults_are_those_of_the_sandbox() -> None:
    assert function_limits({"sensitivity": "public"}) == Limits()
    assert function_protection({"sensitivity": "public"}) == "sandbox"
