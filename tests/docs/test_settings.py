"""The reference of settings is the settings."""

from document_tables import plain, read_rows, read_section

from market.settings import Settings


def documented() -> dict[str, list[str]]:
    rows = read_rows(read_section("settings.md", "Market"))
    return {plain(cells[0]): [plain(cell) for cell in cells] for cells in rows}


def test_every_setting_is_listed_in_order() -> None:
    assert list(documented()) == list(Settings.model_fields)


def test_variables_are_those_that_are_read() -> None:
    prefix = "SIXFOLD_MARKET_"
    given = {
        row[1]: "7_000" for name, row in documented().items() if name == "lease_ms"
    }
    assert Settings.from_environment(given).lease_ms == 7_000
    for name, row in documented().items():
        assert row[1] == prefix + name.upper()


def test_defaults_and_bounds_are_those_of_the_code() -> None:
    for name, field in Settings.model_fields.items():
        row = documented()[name]
        default = "none" if field.default is None else str(field.default)
        assert row[2].replace(",", "") == default
        limits = {}
        for item in field.metadata:
            limits |= {
                key: getattr(item, key)
                for key in ("ge", "le", "min_length", "max_length")
                if hasattr(item, key)
            }
        bounds = " to ".join(f"{value:,}" for value in limits.values())
        assert bounds in row[3]
