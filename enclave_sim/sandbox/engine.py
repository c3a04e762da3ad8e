"""The one configuration of wasmtime that jobs run under.

Same component, same input, same limits: same bytes and same fuel on every host.
Therefore NaNs are canonical, everything that a job does not need is off (threads,
SIMD and whatever else may differ between machines, or has been a source of faults),
and the guest's own recursion limits are reached before the host's stack ends.
Fuel is what is billed; the epoch stops what takes too long in wall-clock time.
"""

import ctypes
import importlib.metadata
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import wasmtime
from wasmtime import _ffi

from enclave_sim.errors import RunnerError
from enclave_sim.sandbox.engine_identity import (
    PROPOSALS_OFF,
    WASM_STACK_BYTES,
    WASMTIME_VERSION,
)

THREAD_STACK_BYTES = WASM_STACK_BYTES + 8 * 2**20
"""The frames of this program and of wasmtime need less than the difference."""

ASYNC_STACK_BYTES = THREAD_STACK_BYTES
"""Never used, but wasmtime refuses a wasm stack that is larger than this."""

Answer = TypeVar("Answer")

_thread = threading.local()


def create_engine() -> wasmtime.Engine:
    """An engine of the configuration that `engine_identity.ENGINE_ID` names.

    Raises:
        RunnerError: Another version of wasmtime is installed: its bytes and fuel
            would not be those that are measured.
    """
    installed = importlib.metadata.version("wasmtime")
    if installed != WASMTIME_VERSION:
        raise RunnerError(
            f"wasmtime {installed} is installed; this release measures "
            f"{WASMTIME_VERSION}. Install that version."
        )
    config = wasmtime.Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.cranelift_opt_level = "speed"
    for name in PROPOSALS_OFF:
        setattr(config, name, False)
    # Settings of the C interface that the Python package does not offer.
    _ffi.wasmtime_config_wasm_component_model_async_set(config.ptr(), arg1=False)
    _ffi.wasmtime_config_concurrency_support_set(config.ptr(), arg1=False)
    set_async_stack = _ffi.dll.wasmtime_config_async_stack_size_set
    set_async_stack.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    set_async_stack.restype = None
    set_async_stack(config.ptr(), ASYNC_STACK_BYTES)
    config.max_wasm_stack = WASM_STACK_BYTES
    return wasmtime.Engine(config)


def call_on_large_stack(work: Callable[[], Answer]) -> Answer:
    """Call `work` on a thread whose stack takes the deepest recursion of a guest.

    On a smaller stack the same recursion would end the process.
    """
    answer: Future[Answer] = Future()

    def work_marked() -> None:
        _thread.has_large_stack = True
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            answer.set_exception(error)

    previous_bytes = threading.stack_size(THREAD_STACK_BYTES)
    thread = threading.Thread(target=work_marked)
    thread.start()
    threading.stack_size(previous_bytes)
    thread.join()
    return answer.result()


def has_large_stack() -> bool:
    """Whether the caller runs under :func:`call_on_large_stack`."""
    return getattr(_thread, "has_large_stack", False)
