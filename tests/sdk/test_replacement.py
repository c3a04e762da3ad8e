"""A node that dies in the midst of a job: placed again, appraised anew, paid once."""

import threading
from collections.abc import Callable

import pytest
from scripted_node import ScriptedNode


def double(x: int) -> int:
    return 2 * x


@pytest.mark.slow
@pytest.mark.parametrize("sensitivity", ["public", "confidential"])
def test_lost_job_ends_on_another_node(
    alice, make_node: Callable[..., ScriptedNode], sensitivity
) -> None:
    domain = f"lost-{sensitivity}"
    victim = make_node(ownership_domain=domain, name="victim")
    victim.is_deaf = True
    remote = alice.offload(
        sensitivity=sensitivity, ownership_domains=[domain], objective="price"
    )(double)
    values: list[int] = []
    call = threading.Thread(target=lambda: values.append(remote(21)))
    call.start()
    assert victim.has_taken.wait(10)
    other = make_node(ownership_domain=domain, name="other")
    call.join(30)
    assert values == [42]
    assert (remote.last.node, remote.last.attempt) == (other.node_id, 2)
    invoice = alice.invoice()
    assert invoice["jobs"] == 1
    assert invoice["totalMicrocredits"] == remote.last.total_microcredits
    assert alice.balance()["heldMicrocredits"] == 0
    remote.last.receipt.verify()
