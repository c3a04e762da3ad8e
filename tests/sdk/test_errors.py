from collections.abc import Iterator

from sdk.errors import JobError, JobFailedError, JobTimeoutError, SdkError


def tree(kind: type[SdkError]) -> Iterator[type[SdkError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_codes_are_apart() -> None:
    kinds = [kind for kind in tree(SdkError) if kind.__module__ == "sdk.errors"]
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.code.startswith("SDK.") for kind in kinds)


def test_job_error_carries_the_code_it_was_given() -> None:
    error: JobError = JobFailedError("SANDBOX.OUT_OF_FUEL", "It ran too long.")
    assert (error.code, str(error)) == ("SANDBOX.OUT_OF_FUEL", "It ran too long.")
    assert JobTimeoutError("Not done in 5 s.").code == "SDK.JOB_TIMEOUT"
