"""The door between the component's interface and the code that runs a function."""

import gc

import componentize_py_types  # type: ignore[import-not-found]  # as below
import wit_world

from enclave_sim.sandbox.guest import modules
from enclave_sim.sandbox.guest.execution import Failure, execute


class WitWorld(wit_world.WitWorld):  # type: ignore[misc]  # generated at build time
    """The exports of the world `runner`; one instance serves one call."""

    def run(
        self, source: str, entry: str, arguments: str, result_bytes_max: int
    ) -> "wit_world.Report":
        """Run one function; see `runner.wit`."""
        outcome, log = execute(
            source, entry, arguments, result_bytes_max=result_bytes_max
        )
        if isinstance(outcome, Failure):
            failure = wit_world.Failure(outcome.code, outcome.message, outcome.line)
            return wit_world.Report(componentize_py_types.Err(failure), log)
        return wit_world.Report(componentize_py_types.Ok(outcome), log)


modules.load_and_seal()
# What is frozen is never visited by the collector, so its memory stays untouched.
gc.collect()
gc.freeze()
