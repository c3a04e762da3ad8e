"""The scenes, in order. Each does something real and tells what was measured."""

import math
import time
from dataclasses import dataclass, field
from threading import Thread

from sdk.demo.narrator import Narrator
from sdk.demo.patients import Study
from sdk.demo.stage import Stage
from sdk.demo.workloads import collatz_steps, count_primes, nuclei_risk
from sdk.errors import JobRefusedError
from sdk.market import Market

ROYALTY_MICROCREDITS = 2_000
"""What the model's owner gets for each use."""
MAP_INPUTS = range(1, 201)
PRIMES_BELOW = 60_000
"""About two seconds of work: long enough to be killed in the midst of it."""
KILL_WAIT_S = 20.0


@dataclass
class Play:
    """The parties of the demonstration, and what they have at hand."""

    stage: Stage
    narrator: Narrator
    study: Study
    owner: Market
    hospital: Market
    providers: dict[str, str] = field(default_factory=dict)
    """Names of the nodes by the account of their provider."""
    scored_job: str = ""
    """The job of scene 2, once it is done."""

    def name_of(self, node_id: str) -> str:
        """The name of a node."""
        return self.stage.node_of(node_id).name


def open_market(play: Play) -> None:
    """Scene 1: who is here."""
    tell = play.narrator
    tell.scene("A market and four nodes, each a process of its own")
    offers = play.hospital.offers()
    play.providers = {offer["provider"]: f"the {offer['name']}" for offer in offers}
    tell.table(
        ("node", "tier", "jurisdiction", "protections", "speed", "price of a megafuel"),
        [
            (
                offer["name"],
                offer["tier"],
                offer["jurisdiction"],
                ", ".join(offer["protections"]),
                f"{offer['capacity']['fuelPerS'] / 1e9:.2f} Gfuel/s",
                f"{offer['prices']['fuel']} micro-credits",
            )
            for offer in offers
        ],
    )
    tell.fact("offers", len(offers))
    tell.say("Enclaves here are simulated; money is development credit.")
    play.hospital.top_up(100)
    play.owner.top_up(1)


def score_encrypted(play: Play) -> None:
    """Scene 2: `restricted` data is scored by a node that sees nothing of it."""
    tell, model, cohort = play.narrator, play.study.model, play.study.hospital
    tell.scene("Restricted: patients scored under encryption")
    workload_id = play.owner.publish_circuit(
        "breast cancer risk",
        weights=[model.weights],
        bias=[model.bias],
        royalty_microcredits=ROYALTY_MICROCREDITS,
    )
    scorer = play.hospital.scorer(
        workload_id, sensitivity="restricted", categories=["health"]
    )
    started = time.perf_counter()
    scores = [row[0] for row in scorer(cohort.rows)]
    elapsed_s = time.perf_counter() - started
    plain = model.scores(cohort.rows)
    worst = max(abs(a - b) for a, b in zip(scores, plain, strict=True))
    same = sum((a > 0) == (b > 0) for a, b in zip(scores, plain, strict=True))
    right = sum((a > 0) == b for a, b in zip(scores, cohort.malignant, strict=True))
    last = scorer.last
    play.scored_job = last.job_id
    tell.fact("patients", len(scores))
    tell.fact("node", play.name_of(last.node))
    tell.say(
        f"{len(scores)} patients scored in {elapsed_s:.1f} s by the "
        f"{play.name_of(last.node)}, which saw neither rows nor scores."
    )
    tell.fact(
        "same_verdict_as_plaintext",
        same,
        f"Same verdict as plaintext scoring: {same} of {len(scores)}; "
        f"largest difference {worst:.1e}. Right about the tumour: {right}.",
    )
    tell.fact("largest_difference", f"{worst:.2e}")
    tell.fact("charge_microcredits", last.total_microcredits)
    tell.say(
        f"Charged {_credits(last.total_microcredits)}, royalty to the owner included."
    )


def run_in_enclave(play: Play) -> None:
    """Scene 3: `confidential` data runs where the SDK has appraised the evidence."""
    tell = play.narrator
    tell.scene("Confidential: a Python function in the simulated enclave")
    risk = play.hospital.offload(
        sensitivity="confidential", categories=["health"], jurisdictions=["de", "fr"]
    )(nuclei_risk)
    rows = play.study.hospital.rows
    values = risk(rows)
    last = risk.last
    near = zip(values, nuclei_risk(rows), strict=True)
    tell.fact("results_right", all(math.isclose(a, b) for a, b in near))
    tell.fact("assurance", last.assurance)
    tell.fact("node", play.name_of(last.node))
    tell.say(
        f"{len(values)} results from the {play.name_of(last.node)}; evidence appraised "
        f"here: assurance {last.assurance}, before anything was sent."
    )
    tell.fact("receipt_verifies", _verifies(last), "Receipt verified offline.")


def map_public(play: Play) -> None:
    """Scene 4: `public` data, and proof that a run here gives the same."""
    tell = play.narrator
    tell.scene("Public: one function mapped over 200 inputs")
    collatz = play.hospital.offload(sensitivity="public", objective="time")(
        collatz_steps
    )
    started = time.perf_counter()
    values = collatz.map(MAP_INPUTS)
    elapsed_s = time.perf_counter() - started
    right = values == [collatz_steps(start) for start in MAP_INPUTS]
    tell.fact("jobs", len(values))
    tell.fact("results_right", right)
    tell.say(
        f"{len(values)} jobs in {elapsed_s:.1f} s: held, leased, run, signed twice, "
        "charged and logged, each of them."
    )
    collatz(27)
    there = collatz.last
    collatz.local(27)
    here = collatz.last_local
    same = (there.result_bytes, there.fuel) == (here.result_bytes, here.fuel)
    tell.fact(
        "same_bytes_and_fuel_as_on_device",
        same,
        f"On the {play.name_of(there.node)}: {there.result_bytes.decode()} with "
        f"{there.fuel:,} fuel; on this machine: {here.result_bytes.decode()} with "
        f"{here.fuel:,} fuel.",
    )


def refuse(play: Play) -> None:
    """Scene 5: a job that policy refuses, with every reason, for nothing."""
    tell = play.narrator
    tell.scene("Refused: restricted data in a simulated enclave")
    before = play.hospital.balance()
    risk = play.hospital.offload(sensitivity="restricted", categories=["health"])(
        nuclei_risk
    )
    try:
        risk(play.study.hospital.rows[:1])
    except JobRefusedError as error:
        decision = error.decision
    else:
        raise AssertionError("restricted data ran in a simulated enclave")
    offers = decision["offers"]
    rows = [
        (offer["name"], refusal["rule"], refusal["message"])
        for offer in offers
        for refusal in offer["refusals"]
    ]
    tell.table(("node", "rule", "reason"), rows)
    tell.fact("offers_refused", len(offers))
    tell.fact("reasons", len(rows))
    charged = (
        before["postedMicrocredits"] - play.hospital.balance()["postedMicrocredits"]
    )
    tell.fact("charged_microcredits", charged, f"Charged: {charged}.")


def lose_a_node(play: Play) -> None:
    """Scene 6: the node dies in the midst of a job, and nobody pays twice."""
    tell = play.narrator
    tell.scene("A node is killed while it runs a job")
    primes = play.hospital.offload(
        sensitivity="public", tiers=["cell_site", "edge_site"], fuel=5 * 10**10
    )(count_primes)
    before = play.hospital.balance()["postedMicrocredits"]
    answers: list[int] = []
    call = Thread(target=lambda: answers.append(primes(PRIMES_BELOW)))
    call.start()
    victim = _running_node(play)
    tell.say(f"The {victim} has the job. Killing it.")
    play.stage.nodes[victim].kill()
    call.join()
    last = primes.last
    spent = before - play.hospital.balance()["postedMicrocredits"]
    tell.fact("killed", victim)
    tell.fact("finished_by", play.name_of(last.node))
    tell.fact("attempt", last.attempt)
    tell.fact("result_right", answers == [count_primes(PRIMES_BELOW)])
    tell.say(
        f"The {play.name_of(last.node)} finished it at attempt {last.attempt}: "
        f"{answers[0]} primes below {PRIMES_BELOW:,}."
    )
    tell.fact(
        "charged_once",
        spent == last.total_microcredits,
        f"Charged once: {_credits(spent)}.",
    )


def _running_node(play: Play) -> str:
    deadline = time.monotonic() + KILL_WAIT_S
    while time.monotonic() < deadline:
        for job in play.hospital.jobs():
            if job["state"] == "leased":
                return play.name_of(str(job["node"]))
        time.sleep(0.05)
    raise AssertionError("no node took the job")


def _verifies(job: object) -> bool:
    job.receipt.verify()  # type: ignore[attr-defined]
    return True


def _credits(microcredits: int) -> str:
    return f"{microcredits / 1e6:.6f} credits"
