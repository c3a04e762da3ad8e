import hmac
import json
from collections.abc import Callable

import pytest

from enclave_sim.errors import JobError, RunnerError
from enclave_sim.sandbox import FailureCode, Limits, Outcome
from enclave_sim.sandbox.engine import call_on_large_stack
from enclave_sim.sandbox.guest.modules import AVAILABLE, SUPPORTING
from enclave_sim.sandbox.runtime import Runtime

Run = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("source", "input_json", "result"),
    [
        ("def f(): pass", b"[]", b"null"),
        ("def f(a, b): return a + b", b"[1, 2.5]", b"3.5"),
        ("def f(x): return x", b'[{"a": [true, null, "\\u00e9"]}]', None),
        ("f = lambda x: [0.1 + 0.2, -0.0, 1e300, 2**70, x]", b"[[]]", None),
        ("class f(list): pass", b'["ab"]', b'["a","b"]'),
        ("import math\nf = math.factorial", b"[20]", b"2432902008176640000"),
        ("def f(x):\n  return {1: (x, True), None: 'é'}", b"[0]", None),
    ],
)
def test_function_gives_compact_json(
    run: Run, source: str, input_json: bytes, result: bytes | None
) -> None:
    outcome = run(source, input_json)
    if result is None:  # what CPython outside of the sandbox gives
        namespace: dict[str, Callable[..., object]] = {}
        exec(source, namespace)  # noqa: S102 - the same function on the host
        value = namespace["f"](*json.loads(input_json))
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        result = text.encode()
    assert (outcome.status, outcome.result) == ("succeeded", result)
    assert outcome.fuel > 10_000
    assert outcome.error_code is None


def test_all_promised_modules_can_be_imported(run: Run) -> None:
    source = f"import {', '.join(AVAILABLE + SUPPORTING)}\ndef f(): return 1"
    assert run(source).result == b"1"


def test_modules_work_on_their_own(run: Run) -> None:
    """What modules load late, when they are used, must be there too."""
    source = (
        "import dataclasses, datetime, decimal, functools, hashlib, hmac, re, zlib\n"
        "import statistics, unicodedata, fractions, csv, io, typing, copy, warnings\n"
        "@dataclasses.dataclass\n"
        "class Point:\n"
        "  x: 'int'\n"
        "@functools.singledispatch\n"
        "def kind(x): return 'any'\n"
        "kind.register(int, lambda x: 'int')\n"
        "def f():\n"
        "  day = datetime.datetime.strptime('2030-01-02 UTC', '%Y-%m-%d %Z')\n"
        "  return [day.strftime('%A %d %B'), str(decimal.Decimal(2).sqrt())[:6],\n"
        "    hashlib.sha384(b'').hexdigest()[:6], kind(1), Point(3).x,\n"
        "    hmac.digest(b'k', b'm', 'sha256').hex()[:6], zlib.crc32(b'a'),\n"
        "    statistics.NormalDist().cdf(0), str(fractions.Fraction('0.5')),\n"
        "    unicodedata.name('é'), list(csv.reader(io.StringIO('a,b')))[0],\n"
        "    str(typing.get_type_hints(Point)['x']), 'é'.encode('cp1252').hex(),\n"
        "    re.sub(r'(?i)A+', 'b', 'caa'), copy.deepcopy({'a': [1]}),\n"
        "    'ß.example'.encode('idna').decode(), f'{1234.5:,.2f}']\n"
    )
    assert json.loads(run(source).result) == [
        "Wednesday 02 January",
        "1.4142",
        "38b060",
        "int",
        3,
        hmac.digest(b"k", b"m", "sha256").hex()[:6],
        3904355907,
        0.5,
        "1/2",
        "LATIN SMALL LETTER E WITH ACUTE",
        ["a", "b"],
        "<class 'int'>",
        "e9",
        "cb",
        {"a": [1]},
        "ss.example",
        "1,234.50",
    ]


def test_random_starts_equal_in_each_run(run: Run) -> None:
    source = "import random\ndef f(): return [random.random() for _ in range(3)]"
    assert run(source) == run(source)
    assert (
        run(source).result
        == b"[0.8444218515250481,0.7579544029403025,0.420571580830845]"
    )


def test_fuel_grows_with_work(run: Run) -> None:
    source = "def f(n):\n  for _ in range(n): pass"
    one, two, three = (
        run(source, b"[%d]" % n).fuel for n in (100_000, 200_000, 300_000)
    )
    assert two - one == pytest.approx(three - two, rel=0.01)


def test_fuel_does_not_depend_on_limits(run: Run) -> None:
    source = "def f(): return [0] * 10**5"
    first = run(source)
    assert run(source, fuel=10**12, memory_bytes=2**30, time_ms=60_000) == first


def test_memory_limit_is_what_counts(run: Run) -> None:
    source = "def f(n): return len(bytes(n))"
    assert run(source, b"[50000000]", memory_bytes=2**27).result == b"50000000"
    outcome = run(source, b"[50000000]", memory_bytes=2**25)
    assert outcome.error_code == FailureCode.OUT_OF_MEMORY
    assert outcome.error_line == 1


def test_runtime_refuses_what_is_too_large(run: Run) -> None:
    with pytest.raises(JobError):
        run("#" * 2**20)


def test_runtime_refuses_small_stack(runtime: Runtime) -> None:
    with pytest.raises(AssertionError, match="recursion"):
        runtime.run("def f(): pass", "f", b"[]", Limits())


@pytest.mark.parametrize("code", [b"", b"garbage"])
def test_garbage_code_is_refused(code: bytes) -> None:
    with pytest.raises(RunnerError, match="cannot load"):
        call_on_large_stack(lambda: Runtime(code))


MODULE = """
    (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 8)
        (func (export "run") {core}))
    (core instance $i (instantiate $m))
    (func (export "{name}") {types} (canon lift (core func $i "run")
        (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
"""
TYPES = '(param "a" string) (param "b" string) (param "c" string) (param "d" u32)'
CORE = "(param i32 i32 i32 i32 i32 i32 i32)"


@pytest.mark.parametrize(
    ("name", "types", "core", "message"),
    [
        ("run", "", "", "other arguments"),
        ("walk", "", "", "no function run"),
        ("run", f"{TYPES} (result u32)", f"{CORE} (result i32) i32.const 9", "report"),
        ("run", f"{TYPES} (result u32)", f"{CORE} (result i32) unreachable", "compute"),
    ],
)
def test_component_that_is_no_runner_is_refused(
    component: Callable[[str], bytes],
    compile_code: Callable[[bytes], bytes],
    name: str,
    types: str,
    core: str,
    message: str,
) -> None:
    text = MODULE.format(name=name, types=types, core=core)
    code = compile_code(component(text))
    with pytest.raises(RunnerError, match=message):
        call_on_large_stack(lambda: Runtime(code))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ("(table 1000000 funcref)", "could not be started"),
        ("(memory 10000)", "does not compute"),
        ("(func $f (loop br 0)) (start $f)", "does not compute"),
    ],
)
def test_component_beyond_limits_is_refused(
    component: Callable[[str], bytes],
    compile_code: Callable[[bytes], bytes],
    parts: str,
    message: str,
) -> None:
    text = f"(core module $m {parts}) (core instance (instantiate $m))"
    code = compile_code(component(text))
    with pytest.raises(RunnerError, match=message):
        call_on_large_stack(lambda: Runtime(code))
