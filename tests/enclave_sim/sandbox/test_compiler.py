import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from enclave_sim.errors import RunnerError
from enclave_sim.process import ProcessLimits
from enclave_sim.sandbox.compile_worker import compile_component
from enclave_sim.sandbox.compiler import compile_artefact, discard_code, load_code
from enclave_sim.sandbox.runner import store_runner


def count_compilations(cache: Path, digest: bytes) -> tuple[bytes, int]:
    steps: list[float] = []
    code = load_code(cache, digest, lambda _, part: steps.append(part))
    return code, steps.count(0.0)


def test_code_is_compiled_once(tmp_path: Path, tiny_runner: bytes) -> None:
    digest = store_runner(tmp_path, tiny_runner)
    code, compilations = count_compilations(tmp_path, digest)
    assert compilations == 1
    assert count_compilations(tmp_path, digest) == (code, 0)


def test_threads_compile_once(tmp_path: Path, tiny_runner: bytes) -> None:
    digest = store_runner(tmp_path, tiny_runner)
    answers: list[tuple[bytes, int]] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(count_compilations(tmp_path, digest))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(compilations for _, compilations in answers) == [0, 0, 1]
    assert len({code for code, _ in answers}) == 1


def test_discarded_code_is_compiled_again(tmp_path: Path, tiny_runner: bytes) -> None:
    digest = store_runner(tmp_path, tiny_runner)
    code = load_code(tmp_path, digest)
    discard_code(tmp_path, digest)
    assert count_compilations(tmp_path, digest) == (code, 1)


def test_altered_code_is_compiled_again(tmp_path: Path, tiny_runner: bytes) -> None:
    """wasmtime itself would run code with a flipped byte."""
    digest = store_runner(tmp_path, tiny_runner)
    code = load_code(tmp_path, digest)
    (entry,) = (tmp_path / "sealed").iterdir()
    for place in (0, len(code) // 2, -1):
        data = bytearray(entry.read_bytes())
        data[place] ^= 1
        entry.write_bytes(data)
        assert count_compilations(tmp_path, digest) == (code, 1)
        assert count_compilations(tmp_path, digest) == (code, 0)


def test_runner_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="no runner"):
        load_code(tmp_path, bytes(48))


@pytest.mark.parametrize(
    "parts",
    [
        '(import "wasi:cli/environment@0.2.0" (instance))',
        '(import "clock" (func (result u64)))',
    ],
)
def test_component_with_imports_is_refused(
    component: Callable[[str], bytes], parts: str
) -> None:
    with pytest.raises(RunnerError, match="import nothing"):
        compile_artefact(component(parts))
    with pytest.raises(RunnerError, match="import nothing"):
        compile_component({}, [component(parts)])


def test_component_without_run_is_refused(component: Callable[[str], bytes]) -> None:
    with pytest.raises(RunnerError, match="export run"):
        compile_component({}, [component("")])


@pytest.mark.parametrize(
    "artefact", [b"", b"(component)", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0garbage"]
)
def test_garbage_does_not_compile(artefact: bytes) -> None:
    with pytest.raises(RunnerError):
        compile_artefact(artefact)
    with pytest.raises(RunnerError):
        compile_component({}, [artefact])


def make_large_component(component: Callable[[str], bytes]) -> bytes:
    """A component of one long function, which takes seconds to compile."""
    steps = "local.get 0 i32.const 3 i32.mul local.set 0 " * 150_000
    return component(f"(core module (func (param i32) {steps}))")


@pytest.mark.slow
def test_compile_bomb_ends_at_processor_limit(
    component: Callable[[str], bytes],
) -> None:
    limits = ProcessLimits(cpu_s=1, address_space_bytes=None, open_files=64)
    with pytest.raises(RunnerError, match="does not compile"):
        compile_artefact(make_large_component(component), limits)


@pytest.mark.slow
def test_compile_bomb_ends_at_memory_limit(component: Callable[[str], bytes]) -> None:
    limits = ProcessLimits(cpu_s=60, address_space_bytes=2**29, open_files=64)
    with pytest.raises(RunnerError, match="does not compile"):
        compile_artefact(make_large_component(component), limits)
