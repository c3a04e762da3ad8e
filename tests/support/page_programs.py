"""Loads the programs that documents show or name, so that tests run just those."""

import importlib
import re
import sys
from types import ModuleType

from document_tables import ROOT

PLAIN_VERIFIER = ROOT / "tests" / "foreign" / "plain_verifier"
GUIDE = ROOT / "docs" / "guides" / "verify-with-other-programs.md"


def read_block(heading: str, language: str) -> str:
    """The one block of code of a language below a heading of the guide."""
    _, found, rest = GUIDE.read_text().partition(f"\n## {heading}\n")
    assert found, f"the guide has no heading {heading}"
    section = rest.partition("\n## ")[0]
    fence = rf"^```{language}\n(.*?)^```$"
    (block,) = re.findall(fence, section, re.MULTILINE | re.DOTALL)
    return block


def load_program(heading: str) -> ModuleType:
    """The Python program below a heading of the guide, imported and not run."""
    program = ModuleType(heading)
    exec(compile(read_block(heading, "python"), heading, "exec"), program.__dict__)  # noqa: S102 - our own page
    return program


def load_plain(name: str) -> ModuleType:
    """A module of the verifier that is written from the reference page."""
    if str(PLAIN_VERIFIER) not in sys.path:
        sys.path.append(str(PLAIN_VERIFIER))
    return importlib.import_module(name)


def read_commands(heading: str) -> list[str]:
    """The commands below a heading of the guide, for a shell."""
    return read_block(heading, "sh").replace("\\\n", " ").splitlines()
