import pytest

from sdk.errors import PinError
from sdk.pins import PIN_FILE_BYTES_MAX, Pin, PinStore, pin_path

URL = "http://market.test"
PIN = Pin(market="acc_" + "a" * 26, log_keys=("log.test+00000000+AAAA",))


def test_first_meeting_is_trusted_and_remembered(tmp_path) -> None:
    path = tmp_path / "alice.key.pins"
    PinStore(path).check(URL, PIN)
    PinStore(path).check(URL, PIN)
    assert PinStore(path).find(URL) == PIN
    assert PinStore(path).find("http://other.test") is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"market": "acc_" + "b" * 26}, "account"),
        ({"log_keys": ("log.test+00000001+AAAA",)}, "log key"),
    ],
)
@pytest.mark.parametrize("has_file", [True, False])
def test_later_change_is_refused(tmp_path, change, named, has_file) -> None:
    store = PinStore(tmp_path / "pins" if has_file else None)
    store.check(URL, PIN)
    with pytest.raises(PinError, match=f"another {named}"):
        store.check(URL, PIN.model_copy(update=change))
    store.check(URL, PIN)


def test_markets_are_pinned_apart(tmp_path) -> None:
    store = PinStore(tmp_path / "pins")
    other = PIN.model_copy(update={"market": "acc_" + "c" * 26})
    store.check(URL, PIN)
    store.check("http://other.test", other)
    assert (store.find(URL), store.find("http://other.test")) == (PIN, other)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"x" * (PIN_FILE_BYTES_MAX + 1)])
def test_damaged_file_is_refused(tmp_path, data) -> None:
    path = tmp_path / "pins"
    path.write_bytes(data)
    with pytest.raises(PinError, match="no readable file"):
        PinStore(path).check(URL, PIN)


def test_file_that_cannot_be_written_is_told(tmp_path) -> None:
    with pytest.raises(PinError, match="cannot be written"):
        PinStore(tmp_path / "missing" / "pins").check(URL, PIN)


def test_pins_lie_beside_the_key(tmp_path) -> None:
    assert pin_path(tmp_path / "alice.key") == tmp_path / "alice.key.pins"
