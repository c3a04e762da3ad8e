"""Each decision of a witness: true, garbage, and true with one thing changed."""

import base64
import json
from pathlib import Path

import pytest
from grown_log import GrownLog
from held_witness import NOW_S, HeldWitness
from hypothesis import given
from hypothesis import strategies as st

from ledger.log import Signer, Verifier, open_note, sign_note
from ledger.log.cosignature import (
    CosignatureSigner,
    MlDsaSigner,
    TimedSigner,
    cosignature_time_s,
)
from ledger.log.evidence import list_evidence
from ledger.log.signature_types import SignatureType
from ledger.log.witness_protocol import checkpoint_path
from ledger.signing import PrivateKey
from ledger.witness.errors import WitnessConfigError
from ledger.witness.witness import WITNESSED_LOGS_MAX, group_by_origin

VECTORS = Path(__file__).parents[2] / "vectors" / "witness.json"


def test_published_script_is_answered_as_published(tmp_path) -> None:
    script = json.loads(VECTORS.read_text())
    key = bytes.fromhex(script["public_key"])
    held = HeldWitness(tmp_path, Verifier(script["origin"], SignatureType.ED25519, key))
    for case in script["cases"]:
        note = f"{case['origin']}\n{case['size']}\n{case['root']}\n"
        if case["signature"]:
            note += f"\n— {case['origin']} {case['signature']}\n"
        head = "".join(f"{line}\n" for line in (f"old {case['old']}", *case["proof"]))
        status, body = held.answer(f"{head}\n{note}".encode())
        assert status == case["status"], case["name"]
        assert body.decode() == case.get("answer", body.decode()), case["name"]
    held.store.close()


def test_log_is_cosigned_as_it_grows(held, log) -> None:
    sizes = (0, 1, 3, 7, 8)
    for old_size, size in zip((0, *sizes), sizes, strict=False):
        status, lines = held.answer(log.request(old_size, size))
        assert status == 200
        note = open_note(log.note(size) + lines, held.keys)
        assert [cosignature_time_s(item) for item in note.signatures] == [NOW_S] * 2
        assert log.origin.encode() not in lines


def test_same_checkpoint_is_cosigned_again(held, log) -> None:
    held.answer(log.request(0))
    held.now_s += 60
    status, lines = held.answer(log.request(8))
    assert status == 200
    note = open_note(log.note() + lines, held.keys)
    assert cosignature_time_s(note.signatures[0]) == NOW_S + 60


def test_other_old_size_is_told_the_size(held, log) -> None:
    held.answer(log.request(0, 5))
    for old_size in (0, 1, 4, 6, 8):
        answer = held.witness.add_checkpoint(log.request(old_size))
        assert (answer.status, answer.body) == (409, b"5\n")
        assert answer.media_type == "text/x.tlog.size"
    # Also where the checkpoint is older than what is remembered.
    assert held.answer(log.request(2, 3)) == (409, b"5\n")
    assert held.answer(log.request(5))[0] == 200


def test_first_contact_takes_no_other_size(held, log) -> None:
    assert held.answer(log.request(3)) == (409, b"0\n")


def test_old_size_above_the_checkpoint_is_malformed(held, log) -> None:
    held.answer(log.request(0))
    body = log.request(0, 5).replace(b"old 0", b"old 8")
    assert held.answer(body)[0] == 400


def test_first_contact_takes_no_proof(held, log) -> None:
    extra = base64.b64encode(b"h" * 32) + b"\n"
    body = log.request(0).replace(b"old 0\n", b"old 0\n" + extra)
    assert held.answer(body)[0] == 422


@pytest.mark.parametrize("size", [1, 4, 5, 7])
def test_fork_is_not_cosigned(held, log, size) -> None:
    held.answer(log.request(0, size))
    other = log.fork(size - 1).grow(9 - size, "other")
    assert other.checkpoint(size).root != log.checkpoint(size).root
    assert held.answer(other.request(size))[0] == 422
    assert held.answer(log.request(size))[0] == 200


def test_near_miss_of_a_proof_is_not_cosigned(held, log) -> None:
    held.answer(log.request(0, 3))
    true = log.request(3)
    hashes = true.split(b"\n\n")[0].split(b"\n")[1:]
    assert len(hashes) > 1
    near_misses = [
        true.replace(hashes[0] + b"\n", b"", 1),
        true.replace(hashes[0], hashes[1], 1),
        true.replace(hashes[-1], hashes[-1] + b"\n" + hashes[-1], 1),
    ]
    for body in near_misses:
        assert held.answer(body)[0] == 422
    assert held.answer(true)[0] == 200


def test_other_root_of_one_size_is_kept_as_evidence(held, log) -> None:
    held.answer(log.request(0))
    fork = log.fork(7).grow(1, "other")
    assert held.answer(fork.request(8))[0] == 422
    (kept,) = list_evidence(held.evidence)
    first = (kept / "checkpoint.first").read_bytes()
    second = (kept / "checkpoint.second").read_bytes()
    keys = [Verifier.parse((kept / "log.vkey").read_text().strip())]
    assert open_note(first, keys).text == log.checkpoint().text
    assert open_note(second, keys).text == fork.checkpoint().text
    readme = (kept / "README").read_text()
    assert "8 entries with different roots" in " ".join(readme.split())
    # Told again, it is kept once.
    assert held.answer(fork.request(8))[0] == 422
    assert list_evidence(held.evidence) == [kept]


def test_wrong_proof_alone_is_no_evidence(held, log) -> None:
    held.answer(log.request(0, 5))
    body = log.request(5).split(b"\n\n", 1)[1]
    assert held.answer(b"old 5\n\n" + body)[0] == 422
    assert list_evidence(held.evidence) == []


def test_unknown_log_is_not_found(held) -> None:
    stranger = GrownLog(origin="other.example").grow(3)
    assert held.answer(stranger.request(0))[0] == 404


def test_wrong_signature_is_forbidden(held, log) -> None:
    forger = GrownLog(log.entries, seed=b"f" * 32)
    assert held.answer(forger.request(0))[0] == 403
    changed = log.request(0).replace(b"\n8\n", b"\n7\n")
    assert held.answer(changed)[0] == 403
    # The key of another log, under its own name.
    forger.signers = [Signer("other.example", PrivateKey(b"l" * 32))]
    assert held.answer(forger.request(0))[0] == 403


def test_log_with_two_algorithms_signs_with_both(tmp_path, log) -> None:
    quantum = MlDsaSigner.from_seed(log.origin, b"m" * 32)
    held = HeldWitness(tmp_path, log.signer.verifier, quantum.verifier)
    assert held.answer(log.request(0))[0] == 403
    log.signers = [TimedSigner(quantum, lambda: NOW_S)]
    assert held.answer(log.request(0))[0] == 403
    log.signers = [log.signer, TimedSigner(quantum, lambda: NOW_S)]
    assert held.answer(log.request(0))[0] == 200
    held.store.close()


def test_log_that_changes_its_key_may_sign_with_either(tmp_path, log) -> None:
    new = Signer(log.origin, PrivateKey(b"n" * 32))
    held = HeldWitness(tmp_path, log.signer.verifier, new.verifier)
    assert held.answer(log.request(0, 5))[0] == 200
    log.signers = [new]
    assert held.answer(log.request(5))[0] == 200
    held.store.close()


@pytest.mark.parametrize(
    "text",
    [
        "log.example/main\nfive\nAAAA\n",
        "log.example/main\n8\nAAAA\n",
        "log.example/main\n08\n" + "A" * 43 + "=\n",
        "log.example/main\n8\n" + "A" * 43 + "=\nextension\n",
        "log.example/main\n8\n",
    ],
)
def test_signed_text_that_is_no_checkpoint_is_malformed(held, log, text) -> None:
    body = b"old 0\n\n" + sign_note(text, log.signers)
    assert held.answer(body)[0] == 400


def test_empty_log_has_the_empty_root(held, log) -> None:
    text = f"{log.origin}\n0\n{'A' * 43}=\n"
    assert held.answer(b"old 0\n\n" + sign_note(text, log.signers))[0] == 422
    assert held.answer(log.request(0, 0))[0] == 200


def test_note_without_signatures_is_malformed(held, log) -> None:
    body = log.request(0)
    head, text, _ = body.split(b"\n\n")
    assert held.answer(head + b"\n\n" + text + b"\n")[0] == 400
    assert held.answer(head + b"\n\n" + text + b"\n\n")[0] == 400
    assert held.answer(head + b"\n\n" + text + b"\n\nno line\n")[0] == 403


@given(st.binary(max_size=400))
def test_arbitrary_body_is_malformed(tmp_path_factory, data) -> None:
    held = HeldWitness(tmp_path_factory.mktemp("witness"), GrownLog().signer.verifier)
    assert held.answer(data)[0] == 400
    held.store.close()


@given(data=st.data())
def test_edited_body_is_answered_with_a_status(tmp_path_factory, data) -> None:
    log = GrownLog().grow(5)
    held = HeldWitness(tmp_path_factory.mktemp("witness"), log.signer.verifier)
    held.answer(log.request(0, 2))
    body = bytearray(log.request(2))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    status, _ = held.answer(bytes(body))
    assert status in {400, 403, 404, 409, 422}
    held.store.close()


def test_line_in_the_name_of_the_witness_does_no_harm(held, log) -> None:
    """Who forges our line in the note must not be able to break what we keep."""
    key = held.keys[0]
    forged = base64.b64encode(key.key_id + bytes(72)).decode()
    body = log.request(0, 5) + f"— {key.name} {forged}\n".encode()
    assert held.answer(body)[0] == 200
    shown = held.witness.shown(checkpoint_path(log.origin))
    assert shown is not None
    assert len(open_note(shown, [*held.keys, log.signer.verifier]).signatures) == 3
    assert held.answer(log.request(5))[0] == 200


def test_what_is_shown_is_what_was_cosigned_last(held, log) -> None:
    path = checkpoint_path(log.origin)
    assert held.witness.shown(path) is None
    held.answer(log.request(0, 5))
    held.answer(log.request(5))
    shown = held.witness.shown(path)
    assert shown is not None
    note = open_note(shown, [log.signer.verifier, *held.keys])
    assert note.text == log.checkpoint().text
    assert len(note.signatures) == 3


def test_memory_outlives_the_witness(held, log) -> None:
    held.answer(log.request(0, 5))
    held.store.close()
    held.start()
    fork = log.fork(4).grow(4, "other")
    assert held.answer(fork.request(0)) == (409, b"5\n")
    assert held.answer(fork.request(5))[0] == 422
    assert held.answer(log.request(5))[0] == 200


def test_two_logs_are_remembered_apart(tmp_path, log) -> None:
    other = GrownLog(origin="other.example", seed=b"o" * 32).grow(3)
    held = HeldWitness(tmp_path, log.signer.verifier, other.signer.verifier)
    assert held.answer(log.request(0))[0] == 200
    assert held.answer(other.request(0))[0] == 200
    assert held.answer(log.request(8))[0] == 200
    heads = held.store.heads()
    assert [head.checkpoint.size for head in heads] == [8, 3]
    held.store.close()


def test_keys_of_a_witness_are_told(held) -> None:
    assert [Verifier.parse(vkey) for vkey in held.witness.vkeys] == held.keys


def test_no_log_and_too_many_logs_are_refused(log) -> None:
    key = log.signer.verifier
    many = [
        Verifier(f"log{number}.example", SignatureType.ED25519, key.key)
        for number in range(WITNESSED_LOGS_MAX + 1)
    ]
    witness = CosignatureSigner("witness.example", PrivateKey(b"w" * 32)).verifier
    for verifiers in ([], [key, key], [witness], many):
        with pytest.raises(WitnessConfigError):
            group_by_origin(verifiers)
    assert len(group_by_origin(many[:-1])) == WITNESSED_LOGS_MAX
