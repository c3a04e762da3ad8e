"""A witness before requests of any kind: it answers, and cosigns one history only."""

import tempfile
from pathlib import Path

import pytest
from grown_log import GrownLog
from held_witness import HeldWitness
from hostile_bytes import nearly
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.log import EMPTY_ROOT, Checkpoint, parse_checkpoint
from ledger.log.cosignature import parse_signature_lines, verify_cosignature
from ledger.log.witness_protocol import parse_add_checkpoint
from ledger.witness.witness import Status

LOG = GrownLog().grow(20)
FORK = LOG.fork(7).grow(13, "other")
SIZES = st.integers(0, 20)


@st.composite
def requests(draw: st.DrawFn, known: int) -> bytes:
    """To another size, of the log or of its fork, whole or nearly so."""
    old, new = draw(st.just(known) | SIZES), draw(SIZES)
    log = draw(st.sampled_from([LOG, LOG, FORK]))
    request = log.request(min(old, new), new)
    return draw(nearly(request) | st.just(request) | st.binary(max_size=300))


def cosigned_checkpoint(held: HeldWitness, body: bytes, answer: bytes) -> Checkpoint:
    """What the witness has put its name to."""
    text = parse_add_checkpoint(body).note.decode().rpartition("\n\n")[0] + "\n"
    for line, key in zip(parse_signature_lines(answer), held.keys, strict=True):
        assert verify_cosignature(text, line, key) == held.now_s
    return parse_checkpoint(text)


@pytest.mark.slow
@settings(deadline=None)
@given(st.data())
def test_witness_answers_all_and_cosigns_one_history(data) -> None:
    cosigned = [Checkpoint(LOG.origin, 0, EMPTY_ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        held = HeldWitness(Path(folder), LOG.signer.verifier)
        for _ in range(data.draw(st.integers(1, 8))):
            body = data.draw(requests(cosigned[-1].size))
            status, answer = held.answer(body)
            assert status in set(Status)
            if status == Status.COSIGNED:
                cosigned.append(cosigned_checkpoint(held, body, answer))
        held.store.close()
    sizes = [checkpoint.size for checkpoint in cosigned]
    assert sizes == sorted(sizes)
    assert any(
        cosigned == [log.checkpoint(size) for size in sizes] for log in (LOG, FORK)
    )
