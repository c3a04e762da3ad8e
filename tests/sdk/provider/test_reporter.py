import threading

import pytest

from ledger.encoding import sha256_text
from ledger.metering.usage import Usage
from sdk.errors import MarketAnswerError
from sdk.provider.courier import Courier
from sdk.provider.executor import Run
from sdk.provider.held_leases import HeldLeases
from sdk.provider.reporter import SLICES_PER_REPORT_MAX, Ready, Reporter

SLICES = "/node-agent/v0.1/slices"


class Desk:
    """A reporter whose queue is filled before its thread begins."""

    def __init__(self, scripted, events, node_key, stopping) -> None:
        self.held = HeldLeases()
        self.is_busy = False
        self.market = scripted
        courier = Courier(
            scripted.transport, holds=self.held.holds, stopping=stopping, tell=events
        )
        self.reporter = Reporter(
            courier, self.held, node_key, events, is_busy=lambda: self.is_busy
        )

    def put(self, *leases, result: bytes = b"result", is_held: bool = True) -> None:
        for lease in leases:
            run = Run(
                lease=lease,
                outcome="succeeded",
                error_code=None,
                usage=Usage(fuel=1),
                input_digest=sha256_text(b"[21]"),
                result=result,
                elapsed_ms=1,
            )
            if is_held:
                self.held.add([lease])
            self.reporter.put(Ready(run, {"inline": "eA=="}, finished_at_ms=1))

    def run(self) -> list[list[str]]:
        """Report all; returns the jobs of each request."""
        self.reporter.finish()
        self.reporter.run()
        return [
            [item["jobId"] for item in body["slices"]]
            for body in self.market.sent(SLICES)
        ]


@pytest.fixture
def desk(scripted, events, node_key, patience) -> Desk:
    scripted.answers[SLICES] = take_all
    return Desk(scripted, events, node_key, patience())


def take_all(body):
    return {
        "jobs": [
            {"jobId": item["jobId"], "state": "reported"} for item in body["slices"]
        ]
    }


def test_ready_results_share_a_request(desk, events, make_lease) -> None:
    leases = [make_lease(number) for number in range(5)]
    desk.put(*leases)
    assert desk.run() == [[lease.job_id for lease in leases]]
    assert [fields["jobId"] for fields in events.named("job")] == [
        lease.job_id for lease in leases
    ]
    assert desk.held.count() == 0


def test_request_takes_so_many_slices(desk, make_lease) -> None:
    desk.put(*(make_lease(number) for number in range(SLICES_PER_REPORT_MAX + 3)))
    assert [len(jobs) for jobs in desk.run()] == [SLICES_PER_REPORT_MAX, 3]


def test_request_takes_so_many_bytes(desk, make_lease) -> None:
    desk.put(*(make_lease(number) for number in range(150)), result=bytes(60_000))
    sizes = [len(jobs) for jobs in desk.run()]
    assert sum(sizes) == 150
    assert max(sizes) <= 70


def test_lost_lease_is_not_reported(desk, events, make_lease) -> None:
    kept, lost = make_lease(1), make_lease(2)
    desk.put(kept)
    desk.put(lost, is_held=False)
    assert desk.run() == [[kept.job_id]]
    assert [fields["jobId"] for fields in events.named("job")] == [kept.job_id]


def test_nothing_is_sent_if_all_are_lost(desk, make_lease) -> None:
    desk.put(make_lease(), is_held=False)
    assert desk.run() == []


def test_each_slice_is_taken_or_refused_alone(desk, events, make_lease) -> None:
    taken, late, wrong = (make_lease(number) for number in range(3))
    codes = {late.job_id: "NODE_AGENT.LEASE_LOST", wrong.job_id: "INVALID_ARGUMENT"}

    def judge(body):
        answer = take_all(body)
        answer["jobs"] = [
            {"jobId": job["jobId"], "status": 409, "code": codes[job["jobId"]]}
            if job["jobId"] in codes
            else job
            for job in answer["jobs"]
        ]
        return answer

    desk.market.answers[SLICES] = judge
    desk.put(taken, late, wrong)
    desk.run()
    assert events.names() == ["job", "lost", "refused"]
    assert events.named("refused")[0]["code"] == "INVALID_ARGUMENT"
    assert desk.held.count() == 0


def test_same_bytes_are_sent_again(desk, refusal, make_lease) -> None:
    answers = [refusal(500, "INTERNAL")]
    desk.market.answers[SLICES] = lambda body: (
        answers.pop() if answers else take_all(body)
    )
    desk.put(make_lease())
    desk.run()
    first, second = desk.market.sent(SLICES)
    assert first == second


@pytest.mark.parametrize("answer", [{}, {"jobs": [7]}, {"jobs": []}])
def test_answer_out_of_form_ends_no_thread(desk, events, make_lease, answer) -> None:
    desk.market.answers[SLICES] = lambda _: answer
    desk.put(make_lease())
    desk.run()
    assert [fields["code"] for fields in events.named("refused")] == [
        MarketAnswerError.code
    ]


def test_stop_ends_a_report_to_nobody(desk, events, make_lease, patience) -> None:
    desk.market.is_away = True
    stopped = patience()
    stopped.set()
    stopping = Desk(desk.market, events, desk.reporter._key, stopped)
    stopping.put(make_lease())
    stopping.run()
    assert events.named("refused")[0]["code"] == "NODE.UNREPORTED"


def test_result_goes_out_at_once_when_idle(desk, make_lease) -> None:
    sent = threading.Event()

    def take(body):
        sent.set()
        return take_all(body)

    desk.market.answers[SLICES] = take
    thread = threading.Thread(target=desk.reporter.run)
    thread.start()
    desk.put(make_lease(1))
    assert sent.wait(10)
    desk.reporter.finish()
    thread.join()


def test_result_waits_for_company_when_busy(desk, make_lease) -> None:
    desk.is_busy = True
    desk.put(make_lease(1), make_lease(2))
    assert len(desk.run()) == 1
