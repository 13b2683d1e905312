"""The command line, run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from burnish.cli.main import run


@pytest.fixture
def burnish(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Callable[..., tuple[int, str, str]]:
    """Arguments -> (exit code, stdout, stderr); a test module's `VERB` goes before them."""
    verb = getattr(request.module, "VERB", ())
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["burnish", *verb, *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            run()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call
