"""Random ids have the form that statements ask for."""

from pydantic import TypeAdapter

from ledger.document import Identifier
from ledger.identifiers import new_identifier


def test_ids_are_random_and_well_formed() -> None:
    ids = {new_identifier("job") for _ in range(100)}
    assert len(ids) == 100
    for name in ids:
        assert name.startswith("job_")
        assert TypeAdapter(Identifier).validate_python(name) == name
