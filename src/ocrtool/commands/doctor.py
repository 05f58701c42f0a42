"""``ocrtool doctor``."""

from __future__ import annotations

from ocrtool import console
from ocrtool.commands.shared import AsJson, Verbose, pretty
from ocrtool.console import Talk


def doctor(as_json: AsJson = False, verbose: Verbose = 0) -> int:
    """Report installed packages, devices that compute, and problems.

    \b
    Examples:
      ocrtool doctor
      ocrtool doctor --json > report.json

    The exit code is 0 when reading works and 3 when it cannot.
    """
    console.begin(Talk(level=verbose))
    from ocrtool.doctor import examine

    report = examine()
    if as_json:
        console.data().write(pretty(report.to_dict()))
    else:
        console.data().write("\n".join(report.lines()) + "\n")
    return report.exit_code
