"""The sandbox: a function in, its result and the fuel it took out; nothing else.

A job is Python source, the name of a function in it and its arguments as JSON. It
runs in a WebAssembly component without imports, in a process of its own, and gives
the same bytes for the same fuel on every host. The host can see what runs: the
sandbox protects the host from the job, not the job from the host.

    limits, outcome     what a job may use, and how it ended; pure, need no wasmtime
    guest/              what runs inside the component
    runner              builds the component and keeps it by its digest
    compiler, cache     machine code from the component, kept under a MAC
    engine, runtime     one configuration of wasmtime; runs jobs in this process
    worker, pool        runs jobs in other processes

The modules that need wasmtime are imported by name where they are used.
"""

from enclave_sim.sandbox.limits import Limits
from enclave_sim.sandbox.outcome import FailureCode, Outcome

__all__ = ["FailureCode", "Limits", "Outcome"]
