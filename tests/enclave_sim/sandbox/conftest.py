from collections.abc import Callable
from pathlib import Path

import pytest
import wasmtime.component

from enclave_sim.sandbox import Limits, Outcome
from enclave_sim.sandbox.compiler import load_code
from enclave_sim.sandbox.engine import call_on_large_stack, create_engine
from enclave_sim.sandbox.runtime import Runtime

Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def runtime(runner_cache: Path, runner_sha384: bytes) -> Runtime:
    code = load_code(runner_cache, runner_sha384)
    return call_on_large_stack(lambda: Runtime(code))


@pytest.fixture(scope="session")
def run(runtime: Runtime) -> Run:
    """Run the function `f` of a source in this process."""

    def run_function(
        source: str, input_json: bytes = b"[]", entry: str = "f", **limits: int
    ) -> Outcome:
        return call_on_large_stack(
            lambda: runtime.run(source, entry, input_json, Limits(**limits))
        )

    return run_function


@pytest.fixture(scope="session")
def component() -> Callable[[str], bytes]:
    """Make a component from the text of its parts."""

    def make_component(text: str) -> bytes:
        return bytes(wasmtime.wat2wasm(f"(component {text})"))

    return make_component


@pytest.fixture(scope="session")
def compile_code() -> Callable[[bytes], bytes]:
    """Compile any component, also one that the compiler would refuse."""

    def compile_any(artefact: bytes) -> bytes:
        compiled = wasmtime.component.Component(create_engine(), artefact)
        return bytes(compiled.serialize())

    return compile_any


@pytest.fixture(scope="session")
def tiny_runner(component: Callable[[str], bytes]) -> bytes:
    """A component that exports `run`, and is no runner otherwise."""
    return component("""
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "f")))
    """)
