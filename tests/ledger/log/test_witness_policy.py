from collections.abc import Sequence

import pytest

from ledger.errors import NoteError, PolicyError, QuorumError
from ledger.log import (
    NO_WITNESSES,
    Checkpoint,
    CosignatureSigner,
    Cosigner,
    LogKeys,
    MlDsaSigner,
    Signer,
    TimedSigner,
    WitnessPolicy,
    leaf_hash,
    sign_note,
)
from ledger.log.witness_policy import (
    POLICY_BYTES_MAX,
    POLICY_GROUPS_MAX,
    POLICY_LOGS_MAX,
    POLICY_WITNESSES_MAX,
)
from ledger.signing import PrivateKey

ORIGIN = "ledger.example/main"
LOG = Signer(ORIGIN, PrivateKey(bytes(range(32))))
LOG_ML_DSA = MlDsaSigner.from_seed(ORIGIN, bytes(range(32)))
KEYS = LogKeys((LOG.verifier, LOG_ML_DSA.verifier))
CHECKPOINT = Checkpoint(ORIGIN, 1, leaf_hash(b"one"))


def make_witness(name: str) -> Cosigner:
    seed = name.encode().ljust(32, b".")
    if name.startswith("Y"):
        return MlDsaSigner.from_seed(f"witness.example/{name}", seed)
    return CosignatureSigner(f"witness.example/{name}", PrivateKey(seed))


NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
WITNESSES = {name: make_witness(name) for name in NAMES}
VKEYS = {name: witness.verifier.vkey for name, witness in WITNESSES.items()}

EXAMPLE = f"""\
# Two organisations.
log {LOG.verifier.vkey} https://ledger.example/log/

witness X1 {VKEYS["X1"]} https://x1.example/
witness X2 {VKEYS["X2"]}
 witness\tX3  {VKEYS["X3"]}\t
group X-witnesses 2 X1 X2 X3

witness Y1 {VKEYS["Y1"]}
witness Y2 {VKEYS["Y2"]}
witness Y3 {VKEYS["Y3"]}
group Y-witnesses any Y1 Y2 Y3

\t# Both.
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
POLICY = WitnessPolicy.parse(EXAMPLE.encode())


def note(names: Sequence[str], text: str = CHECKPOINT.text) -> bytes:
    cosigners = [LOG_ML_DSA, *(WITNESSES[name] for name in names)]
    timed = [TimedSigner(item, lambda: 100) for item in cosigners]
    return sign_note(text, [LOG, *timed])


def parse(*lines: str) -> WitnessPolicy:
    return WitnessPolicy.parse("".join(f"{line}\n" for line in lines).encode())


def test_example_is_read() -> None:
    assert tuple(POLICY.witnesses) == NAMES
    assert POLICY.witnesses["X1"].url == "https://x1.example/"
    assert POLICY.witnesses["X2"].url is None
    assert POLICY.logs == {ORIGIN: LogKeys((LOG.verifier,))}
    assert POLICY.groups["X-witnesses"].threshold == 2
    assert POLICY.groups["Y-witnesses"].threshold == 1
    assert POLICY.groups["X-and-Y"].threshold == 2
    assert POLICY.quorum == "X-and-Y"
    assert len(POLICY.verifiers) == 6


@pytest.mark.parametrize(
    ("names", "is_met"),
    [
        ([], False),
        (["X1", "X2", "X3"], False),
        (["Y1", "Y2", "Y3"], False),
        (["X1", "Y1"], False),
        (["X1", "X3", "Y2"], True),
        (["Y3", "X2", "X3"], True),
        (NAMES, True),
    ],
)
def test_quorum_is_counted(names: Sequence[str], is_met: bool) -> None:  # noqa: FBT001 - a table
    data = note(names)
    opened = POLICY.open(data, KEYS)
    assert opened.checkpoint == CHECKPOINT
    assert opened.witnessing.times_s == dict.fromkeys(names, 100)
    assert opened.witnessing.is_quorum_met is is_met
    if is_met:
        assert POLICY.verify(data, KEYS) == opened
    else:
        with pytest.raises(QuorumError, match="not met"):
            POLICY.verify(data, KEYS)


def test_quorum_of_one_witness() -> None:
    policy = parse(
        f"witness X1 {VKEYS['X1']}", f"witness X2 {VKEYS['X2']}", "quorum X2"
    )
    assert policy.open(note(["X2"]), KEYS).witnessing.is_quorum_met
    assert not policy.open(note(["X1"]), KEYS).witnessing.is_quorum_met


def test_quorum_none_asks_for_nothing() -> None:
    policy = parse(f"witness X1 {VKEYS['X1']}", "quorum none")
    assert policy.quorum is None
    assert policy.verify(note([]), KEYS).witnessing.is_quorum_met
    assert policy.verify(note(["X1"]), KEYS).witnessing.times_s == {"X1": 100}
    opened = NO_WITNESSES.verify(note(["X1"]), KEYS)
    assert opened.witnessing.is_quorum_met
    assert not opened.witnessing.times_s


def test_cosignature_of_unknown_key_does_not_count() -> None:
    """Same name, valid signature, another key."""
    policy = parse(f"witness X1 {VKEYS['X1']}", "quorum X1")
    stranger = CosignatureSigner(
        WITNESSES["X1"].verifier.name, PrivateKey(b"stranger".ljust(32))
    )
    line = stranger.cosign(CHECKPOINT.text, time_s=1).line
    data = note([]) + line.encode()
    assert not policy.open(data, KEYS).witnessing.times_s
    with pytest.raises(QuorumError):
        policy.verify(data, KEYS)


def test_cosignature_of_another_checkpoint_spoils_the_note() -> None:
    other = Checkpoint(ORIGIN, 2, CHECKPOINT.root).text
    line = WITNESSES["X1"].cosign(other, time_s=1).line
    with pytest.raises(NoteError):
        POLICY.open(note(["X2", "X3", "Y1"]) + line.encode(), KEYS)


def test_repeated_cosignature_spoils_the_note() -> None:
    line = WITNESSES["X1"].cosign(CHECKPOINT.text, time_s=101).line
    with pytest.raises(NoteError):
        POLICY.open(note(["X1"]) + line.encode(), KEYS)


def test_policy_accepts_its_logs_only() -> None:
    stranger = Signer("stranger.example", PrivateKey(b"s" * 32))
    text = Checkpoint("stranger.example", 1, CHECKPOINT.root).text
    data = sign_note(text, [stranger])
    with pytest.raises(NoteError, match="does not accept"):
        POLICY.open(data, stranger.verifier)
    assert NO_WITNESSES.open(data, stranger.verifier).checkpoint.size == 1


def test_log_may_have_a_key_of_each_type() -> None:
    policy = parse(
        f"log {LOG.verifier.vkey}", f"log {LOG_ML_DSA.verifier.vkey}", "quorum none"
    )
    assert policy.logs == {ORIGIN: KEYS}


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["# only a comment"],
        ["quorum none", "quorum none"],
        ["quorum X1"],
        ["quorum"],
        ["quorum none none"],
        ["quorum none # comment"],
        ["Quorum none"],
        ["log", "quorum none"],
        ["log garbage", "quorum none"],
        [f"log {VKEYS['X1']}", "quorum none"],
        [f"log {LOG_ML_DSA.verifier.vkey}", "quorum none"],
        [f"log {LOG.verifier.vkey} a b", "quorum none"],
        [f"log {LOG.verifier.vkey}", f"log {LOG.verifier.vkey}", "quorum none"],
        [f"witness X1 {LOG.verifier.vkey}", "quorum none"],
        [f"witness none {VKEYS['X1']}", "quorum none"],
        [f"witness {VKEYS['X1']}", "quorum none"],
        [f"witness X1 {VKEYS['X1']} url more", "quorum none"],
        [f"witness X1 {VKEYS['X1'][:-2]}", "quorum none"],
        [f"witness X1 {VKEYS['X1']}", f"witness X1 {VKEYS['X2']}", "quorum X1"],
        [f"witness X1 {VKEYS['X1']}", f"witness X2 {VKEYS['X1']}", "quorum X1"],
        ["quorum X1", f"witness X1 {VKEYS['X1']}"],
        ["group G any", "quorum none"],
        ["group G any X1", f"witness X1 {VKEYS['X1']}", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group X1 any X1", "quorum X1"],
        [f"witness X1 {VKEYS['X1']}", "group none any X1", "quorum none"],
        [f"witness X1 {VKEYS['X1']}", "group G any none", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G any X1 X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G 0 X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G 2 X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G 01 X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G +1 X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G \u0661 X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G some X1", "quorum G"],
        [f"witness X1 {VKEYS['X1']}", "group G any G", "quorum G"],
        [f"witness X1\u2003{VKEYS['X1']}", "quorum none"],
        [f"witness X1 {VKEYS['X1']}", "group G 1 X1", "group H 1 X1", "quorum H"],
        ["quorum none\r"],
        ["quorum none\x7f"],
        ["\0quorum none"],
    ],
)
def test_policy_refuses_near_miss(lines: list[str]) -> None:
    with pytest.raises(PolicyError):
        parse(*lines)


def test_policy_names_the_line() -> None:
    with pytest.raises(PolicyError, match="Line 2"):
        parse("quorum none", "witness X1 garbage")


@pytest.mark.parametrize("data", [b"quorum none", b"\xff\n", b"\0", b"{}\n", b"\n"])
def test_policy_refuses_garbage(data: bytes) -> None:
    with pytest.raises(PolicyError):
        WitnessPolicy.parse(data)


def test_policy_is_bounded() -> None:
    def vkey(number: int, *, log: bool) -> str:
        key = PrivateKey(number.to_bytes(32, "big"))
        if log:
            return Signer(f"log.example/{number}", key).verifier.vkey
        return CosignatureSigner(f"w{number}", key).verifier.vkey

    logs = [f"log {vkey(n, log=True)}" for n in range(POLICY_LOGS_MAX + 1)]
    witnesses = [
        f"witness w{n} {vkey(1000 + n, log=False)}"
        for n in range(POLICY_WITNESSES_MAX + 1)
    ]
    groups = ["group g0 any w0"]
    groups += [f"group g{n + 1} any g{n}" for n in range(POLICY_GROUPS_MAX)]
    full = [*logs[:-1], *witnesses[:-1], *groups[:-1], "quorum none"]
    assert len(parse(*full).groups) == POLICY_GROUPS_MAX
    for line in (logs[-1], witnesses[-1], groups[-1]):
        with pytest.raises(PolicyError, match="at most"):
            parse(*full, line)
    with pytest.raises(PolicyError, match="at most"):
        WitnessPolicy.parse(b"#" * POLICY_BYTES_MAX + b"\nquorum none\n")


def test_groups_of_groups_are_settled_in_one_pass() -> None:
    policy = parse(
        f"witness X1 {VKEYS['X1']}",
        "group a any X1",
        "group b all a",
        "group c 1 b",
        "quorum c",
    )
    assert policy.open(note(["X1"]), KEYS).witnessing.is_quorum_met
    assert not policy.open(note([]), KEYS).witnessing.is_quorum_met
