"""The child process that runs jobs with one runner.

It gets the code from its parent, opens no files and needs no environment. Whatever
escaped from WebAssembly would find itself here, with what the limits leave it.
"""

from enclave_sim.errors import SandboxError
from enclave_sim.process import Operation, serve
from enclave_sim.sandbox.engine import call_on_large_stack
from enclave_sim.sandbox.limits import Limits
from enclave_sim.sandbox.runtime import Runtime
from ledger.encoding import Json


class Worker:
    """The operations of the process: load a runner once, then run jobs."""

    def __init__(self) -> None:
        self._runtime: Runtime | None = None

    def operations(self) -> dict[str, Operation]:
        """What the parent may call, by name."""
        return {"load": self._load, "run": self._run}

    def _load(
        self, _header: dict[str, Json], payloads: list[bytes]
    ) -> tuple[dict[str, Json], list[bytes]]:
        (code,) = payloads
        self._runtime = Runtime(code)
        return {}, []

    def _run(
        self, header: dict[str, Json], payloads: list[bytes]
    ) -> tuple[dict[str, Json], list[bytes]]:
        if self._runtime is None:
            raise SandboxError("No runner has been loaded.")
        source, input_json = payloads
        entry = header["entry"]
        assert isinstance(entry, str)
        limits = Limits.parse(header["limits"])
        outcome = self._runtime.run(source.decode(), entry, input_json, limits)
        return outcome.to_json(), [outcome.result, outcome.log]


def main() -> None:
    """Serve the parent until it closes the connection."""
    call_on_large_stack(lambda: serve(Worker().operations()))


if __name__ == "__main__":
    main()
