"""CSV is read again as it was written."""

from __future__ import annotations

import csv
import io

from burnish.tables import csv_table


def test_a_table_holds_any_name_and_is_read_again() -> None:
    names = ["a", "carriage\rreturn", "both\r\n", "\r", "new\nline", 'quo"te', "com,ma", " ", "",
             "=1+2", "+1", "-1", "@SUM(A1)"]  # fmt: skip
    text = io.StringIO()
    table = csv_table(text, ("name", "more"))
    table.writeheader()
    table.writerows({"name": name, "more": name} for name in names)
    assert text.getvalue().startswith("name,more\na,a\n")
    found = list(csv.DictReader(io.StringIO(text.getvalue(), newline="")))
    assert found == [{"name": name, "more": name} for name in names]
