"""CSV files: rows with their line numbers, and what is no row."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeller.services.tables import BadRow, Row, open_table


def read(folder: Path, text: str) -> list[tuple[int, Row] | BadRow]:
    path = folder / "list.csv"
    path.write_text(text, "utf-8", newline="")
    return list(open_table(path, ("path", "key"), [["path"]]).rows())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_begins_where_its_first_line_is(tmp_path: Path, end: str) -> None:
    text = end.join(["path,note,key", 'a.png,"two', 'lines",k', "", "b.png,,", ""])
    assert read(tmp_path, text) == [
        (2, {"path": "a.png", "key": "k"}),
        (5, {"path": "b.png", "key": ""}),
    ]


@pytest.mark.parametrize("rest", ["q2,b.png,\nq3,c.png,", 'q2,b.png,\nq3,"c.png,\n'])
def test_a_quote_that_is_not_closed_is_told_where_it_opens(tmp_path: Path, rest: str) -> None:
    (good, bad) = read(tmp_path, f'key,path,note\nq0,z.png,\nq1,"a.png,\n{rest}')
    assert good == (2, {"path": "z.png", "key": "q0"})
    assert bad == BadRow(3, "a quote is still open in line 5", {"key": "q1"})


def test_a_quote_in_another_column_hides_no_rows(tmp_path: Path) -> None:
    (bad,) = read(tmp_path, 'key,path,note\nq1,a.png,"new\nq2,b.png,\n')
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.cells) == (2, {"key": "q1", "path": "a.png"})


def test_a_quote_that_takes_in_too_much(tmp_path: Path) -> None:
    rows = "".join(f"q{n},{n}.png\n" for n in range(20_000))
    bad, *others = read(tmp_path, f'key,path\nq,"a.png\n{rows}')
    assert isinstance(bad, BadRow)
    assert bad.line == 2
    assert "a quote is still open in line" in bad.reason
    assert (20_002, {"key": "q19999", "path": "19999.png"}) in others
