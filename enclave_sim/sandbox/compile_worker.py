"""The child process that compiles one component."""

import wasmtime
from wasmtime import component

from enclave_sim.errors import RunnerError
from enclave_sim.process import serve
from enclave_sim.sandbox.engine import create_engine
from enclave_sim.sandbox.runner import COMPONENT_PREAMBLE
from ledger.encoding import Json

EXPORT = "run"


def compile_component(
    _header: dict[str, Json], payloads: list[bytes]
) -> tuple[dict[str, Json], list[bytes]]:
    """Compile a component and give back its machine code.

    Raises:
        RunnerError: It is no valid component, imports something, or lacks `run`.
    """
    (artefact,) = payloads
    if not artefact.startswith(COMPONENT_PREAMBLE):
        raise RunnerError("This is no WebAssembly component.")
    engine = create_engine()
    try:
        compiled = component.Component(engine, artefact)
    except wasmtime.WasmtimeError as error:
        raise RunnerError(str(error).partition("\n")[0]) from error
    imports = sorted(compiled.type.imports(engine))
    if imports:
        raise RunnerError(f"A runner must import nothing; this wants {imports[:5]}.")
    if EXPORT not in compiled.type.exports(engine):
        raise RunnerError(f"A runner must export {EXPORT}.")
    return {}, [bytes(compiled.serialize())]


if __name__ == "__main__":
    serve({"compile": compile_component})
