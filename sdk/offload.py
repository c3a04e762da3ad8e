"""A function that runs elsewhere, called as if it ran here.

@market.offload(sensitivity="confidential", categories=["health"])
def risk(rows: list[list[float]]) -> list[float]: ...

scores = risk(rows)
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, cast

from sdk.errors import InputError
from sdk.fulfilment import Fulfilment, take_results
from sdk.function_orders import FunctionOrders
from sdk.payloads import encode_arguments
from sdk.python_work import describe_failure, read_value
from sdk.results import JobResult, LocalResult
from sdk.session import Session
from sdk.transport import Progress

if TYPE_CHECKING:
    from sdk.local import LocalRunner

P = ParamSpec("P")
R = TypeVar("R")


class RemoteFunction(Generic[P, R]):
    """A function whose calls are jobs. Values cross as JSON: tuples come back as lists.

    All calls raise `JobRefusedError` if no node may or can run them,
    `JobFailedError` if the function raised or met a limit,
    `UntrustedEvidenceError` if an enclave does not prove what it runs,
    `JobDisputedError` if what came back does not hold, and `JobTimeoutError`.
    """

    def __init__(
        self,
        function: Callable[P, R],
        orders: FunctionOrders,
        session: Session,
        local_runner: "Callable[[], LocalRunner]",
    ) -> None:
        """Wrap a function; made by `Market.offload`.

        Args:
            function: The function itself, which is never called here.
            orders: Makes jobs of calls.
            session: Where they are placed.
            local_runner: Gives the sandbox of this machine.
        """
        functools.update_wrapper(self, function)
        self._signature = inspect.signature(function)
        self._orders = orders
        self._session = session
        self._local_runner = local_runner
        self.last_jobs: tuple[JobResult, ...] = ()
        """The jobs of the last call or map that came to a result, in order."""
        self._last_local: LocalResult | None = None

    @property
    def last(self) -> JobResult:
        """The last job that came to a result.

        Raises:
            InputError: There is none yet.
        """
        if not self.last_jobs:
            raise InputError("No job of this function has come to a result yet.")
        return self.last_jobs[-1]

    @property
    def last_local(self) -> LocalResult:
        """What came of the last `local` that succeeded.

        Raises:
            InputError: There was none yet.
        """
        if self._last_local is None:
            raise InputError("No local run of this function has succeeded yet.")
        return self._last_local

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function elsewhere and return its value."""
        return self._run([self._encode(args, kwargs)], progress=None)[0]

    def map(
        self, inputs: Iterable[object], *, progress: Progress | None = None
    ) -> list[R]:
        """Run the function on each of many inputs, as many jobs at once as are free.

        Args:
            inputs: Each is the only positional argument of one call.
            progress: Told how many jobs have ended, and of how many if that is known.

        Returns:
            The values in the order of the inputs.
        """
        return self._map(((item,) for item in inputs), inputs, progress)

    def starmap(
        self,
        inputs: Iterable[Iterable[object]],
        *,
        progress: Progress | None = None,
    ) -> list[R]:
        """As `map`, but each input holds all positional arguments of one call."""
        return self._map((tuple(item) for item in inputs), inputs, progress)

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function on this machine, in the market's own runner.

        The result has the same bytes, for the same fuel, as it has anywhere else.
        Needs the extra `provider`.
        """
        outcome = self._local_runner().run(
            self._orders.source.text,
            self._orders.source.entry,
            self._encode(args, kwargs),
            self._orders.sandbox_limits,
        )
        if outcome.status == "failed":
            raise describe_failure(outcome, self._orders.source)
        result = LocalResult(
            value=read_value(outcome.result),
            result_bytes=outcome.result,
            log=outcome.log,
            fuel=outcome.fuel,
        )
        self._last_local = result
        return cast("R", result.value)

    def _map(
        self,
        arguments: Iterator[tuple[object, ...]],
        inputs: Iterable[object],
        progress: Progress | None,
    ) -> list[R]:
        total = len(inputs) if isinstance(inputs, Sized) else None
        report = None if progress is None else lambda done: progress(done, total)
        return self._run((self._encode(item, {}) for item in arguments), report)

    def _encode(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
        bound = self._signature.bind(*args, **kwargs)
        if bound.kwargs:
            names = ", ".join(bound.kwargs)
            raise InputError(f"{names}: only positional arguments can be sent.")
        return encode_arguments(bound.args)

    def _run(
        self, inputs: Iterable[bytes], progress: Callable[[int], None] | None
    ) -> list[R]:
        fulfilment = Fulfilment(
            self._session, timeout_s=self._orders.timeout_s, ended=progress
        )
        works = (self._orders.work(data, self._session) for data in inputs)
        ended = fulfilment.run(works)
        self.last_jobs = tuple(item for item in ended if isinstance(item, JobResult))
        return [cast("R", item.value) for item in take_results(ended)]
