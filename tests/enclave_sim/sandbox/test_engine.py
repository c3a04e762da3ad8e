import threading

import pytest
import wasmtime

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox import engine
from enclave_sim.sandbox.engine import (
    call_on_large_stack,
    create_engine,
    has_large_stack,
)
from enclave_sim.sandbox.engine_identity import (
    ENGINE_ID,
    METERING_SCHEDULE,
    WASM_STACK_BYTES,
    WASMTIME_VERSION,
)


def test_engine_is_no_older_than_its_fixes() -> None:
    """50.0.1 closes several holes; an older engine must not run foreign code."""
    assert tuple(map(int, WASMTIME_VERSION.split("."))) >= (50, 0, 1)


def test_engine_of_another_version_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WASMTIME_VERSION", "50.0.0")
    with pytest.raises(RunnerError, match=r"measures 50\.0\.0"):
        create_engine()


def test_engine_id_names_what_fuel_depends_on() -> None:
    assert ENGINE_ID.startswith(f"wasmtime/{WASMTIME_VERSION} ")
    assert f"metering/{METERING_SCHEDULE} " in ENGINE_ID
    assert f"stack={WASM_STACK_BYTES}" in ENGINE_ID
    assert "wasm_threads=off" in ENGINE_ID
    assert ENGINE_ID.isascii()
    assert len(ENGINE_ID) <= 1024


@pytest.mark.parametrize(
    "text",
    [
        "(memory 1 1 shared)",
        "(memory i64 1)",
        "(memory 1) (memory 1)",
        "(func (result v128) (v128.const i32x4 0 0 0 0))",
        "(type (struct (field i32)))",
        "(tag)",
        "(func (param (ref func)))",
        "(func (return_call 0))",
        "(func (param i64 i64) local.get 0 local.get 1 i64.mul_wide_u drop drop)",
        "(memory 1 (pagesize 1))",
        "(type $f (func)) (type (cont $f))",
    ],
)
def test_engine_takes_no_proposal_beyond_need(text: str) -> None:
    module = wasmtime.wat2wasm(f"(module {text})")
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module(create_engine(), module)


def test_engine_makes_nans_canonical() -> None:
    engine = create_engine()
    text = """(module (func (export "f") (result i64)
        (i64.reinterpret_f64 (f64.mul (f64.const -nan:0x123) (f64.const 1)))))"""
    store = wasmtime.Store(engine)
    store.set_fuel(100)
    store.set_epoch_deadline(1)
    instance = wasmtime.Instance(store, wasmtime.Module(engine, text), [])
    function = instance.exports(store)["f"]
    assert isinstance(function, wasmtime.Func)
    assert function(store) == 0x7FF8 << 48


def test_large_stack_is_marked() -> None:
    size_before = threading.stack_size()
    assert not has_large_stack()
    assert call_on_large_stack(has_large_stack)
    assert not has_large_stack()
    assert threading.stack_size() == size_before


def test_large_stack_passes_errors_on() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        call_on_large_stack(fail)
