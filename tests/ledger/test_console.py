"""Output that is the same for all commands."""

import json

import pytest
import typer

from ledger import console
from ledger.console import (
    ExitCode,
    exit_with_error,
    plain,
    print_json,
    print_line,
    print_notice,
    print_table,
    progress_reporter,
)

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ordinary text, åäö", "ordinary text, åäö"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("line\nbreak", "line\\nbreak"),
        ("\udc80", "\\udc80"),
        ("\u202e", "\\u202e"),
    ],
)
def test_text_from_outside_is_made_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_line_is_never_broken(capsys: Captured) -> None:
    print_line("word " * 100 + "[bold]end[/bold]", style="red")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("[bold]end[/bold]")


def test_notice_is_no_answer(capsys: Captured) -> None:
    print_notice("careful")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "careful\n")


def test_json_is_the_whole_answer(capsys: Captured) -> None:
    print_json({"a": [1, "\udc80"]})
    assert json.loads(capsys.readouterr().out) == {"a": [1, "\udc80"]}


def test_table_shows_all_cells(capsys: Captured) -> None:
    print_table(("name", "count"), [("[red]", 1_000), ("b", 2)], title="All")
    out = capsys.readouterr().out
    assert "All" in out
    assert "[red]" in out
    assert "1,000" in out


def test_empty_table_is_shown(capsys: Captured) -> None:
    print_table(("name", "count"), [])
    assert "name" in capsys.readouterr().out


@pytest.mark.parametrize("code", list(ExitCode))
def test_error_ends_the_command(capsys: Captured, code: ExitCode) -> None:
    with pytest.raises(typer.Exit) as caught:
        exit_with_error(
            "It broke.", next_step="Mend it.", error_code="A.B", exit_code=code
        )
    assert caught.value.exit_code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "It broke. [A.B]" in captured.err
    assert "Mend it." in captured.err


def test_error_is_told_to_machines(capsys: Captured) -> None:
    with pytest.raises(typer.Exit):
        exit_with_error(
            "It broke.",
            next_step="Mend it.",
            error_code="A.B",
            exit_code=ExitCode.FAILED,
            as_json=True,
        )
    assert json.loads(capsys.readouterr().out) == {
        "code": "A.B",
        "message": "It broke.",
        "nextStep": "Mend it.",
    }


def test_progress_stays_off_the_answer(capsys: Captured) -> None:
    with progress_reporter("Working") as report:
        report(1, 2)
        report(2, None)
    assert capsys.readouterr().out == ""


def test_exit_codes_are_those_promised() -> None:
    assert [code.value for code in console.ExitCode] == [0, 1, 2, 3]
