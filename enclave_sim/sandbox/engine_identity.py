"""What the sandbox's engine is called; who appraises needs only this, not wasmtime.

A measurement names the engine, because bytes and fuel depend on it. Consumers compute
the measurement that they expect, and have no wasmtime to ask.
"""

METERING_SCHEDULE = 1
"""Version of what a unit of fuel means; grows when the same job costs other fuel."""

WASM_STACK_BYTES = 64 * 2**20
"""CPython stops recursion in C after 1 MiB of its own stack, for which compiled
code needs up to 48 MiB of the host's. What fills the host's stack first, such as
letting go of a million nested lists, ends in a trap at a depth that depends on the
processor; a smaller stack would let more programs come that far."""

PROPOSALS_OFF = (
    "wasm_threads",
    "shared_memory",
    "wasm_memory64",
    "wasm_multi_memory",
    "wasm_simd",
    "wasm_relaxed_simd",
    "wasm_gc",
    "gc_support",
    "wasm_exceptions",
    "wasm_function_references",
    "wasm_tail_call",
    "wasm_wide_arithmetic",
    "wasm_custom_page_sizes",
    "wasm_stack_switching",
)

WASMTIME_VERSION = "50.0.1"
"""The one version that this release measures; `engine` refuses to run another."""

ENGINE_ID = (
    f"wasmtime/{WASMTIME_VERSION} metering/{METERING_SCHEDULE} fuel epoch"
    f" nan-canonicalization stack={WASM_STACK_BYTES} component-async=off"
    f" {' '.join(f'{name}=off' for name in PROPOSALS_OFF)}"
)
"""Names everything that bytes and fuel depend on, except runner and job; measured.

Optimisation level and processor are absent: fuel is the same with any.
"""
