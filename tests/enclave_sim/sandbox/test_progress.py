import threading

import pytest

from enclave_sim.sandbox.progress import ignore_progress, shown


def test_step_begins_at_nothing_and_ends_whole() -> None:
    seen: list[tuple[str, float]] = []
    with shown(lambda step, part: seen.append((step, part)), "build", usual_s=1):
        assert seen == [("build", 0.0)]
    assert seen[-1] == ("build", 1.0)


def test_step_is_estimated_while_it_runs() -> None:
    ticked = threading.Event()
    parts: list[float] = []

    def note(_step: str, part: float) -> None:
        parts.append(part)
        if len(parts) > 1:
            ticked.set()

    with shown(note, "build", usual_s=1e-6):
        assert ticked.wait(10)
    assert parts[0] == 0
    assert 0 < parts[1] < 1
    assert parts[-1] == 1


def test_failed_step_is_never_whole() -> None:
    parts: list[float] = []
    with (
        pytest.raises(ValueError, match="no"),
        shown(lambda _, part: parts.append(part), "build", usual_s=1),
    ):
        raise ValueError("no")
    assert 1.0 not in parts
    ignore_progress("build", 1.0)
