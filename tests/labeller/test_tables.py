"""Tables: rows with their line numbers, what is no row, and which column is what."""

from __future__ import annotations

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeller.services.table_columns import Meaning
from labeller.services.tables import BadRow, Row, TableError, guarded, name_lines, open_table

ALL: tuple[Meaning, ...] = ("path", "sha256", "label", "split", "group", "annotator")


def read(
    folder: Path, text: str | bytes, wanted: tuple[Meaning, ...] = ("path", "key")
) -> list[tuple[int, Row] | BadRow]:
    return list(open_table(write(folder, text), wanted, [["path"]]).rows())


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return path


def cells(folder: Path, text: str | bytes) -> list[tuple[int, str, str] | tuple[int, str]]:
    """Read a table and return line, path and label of each row, or line and reason."""
    return [
        (row.line, row.reason)
        if isinstance(row, BadRow)
        else (row[0], row[1]["path"], row[1].get("label", ""))
        for row in read(folder, text, ("path", "label"))
    ]


def notes(folder: Path, text: str | bytes, wanted: tuple[Meaning, ...] = ALL) -> list[str]:
    table = open_table(write(folder, text), wanted, [["path"]])
    list(table.rows())
    return list(table.notes())


def wrong(folder: Path, text: str | bytes) -> str:
    with pytest.raises(TableError) as caught:
        read(folder, text, ("path", "label"))
    return str(caught.value)


# ---- lines and quotes


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
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


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ("a.jpg,cat", "cat"),
        ("a.jpg, cat", "cat"),
        ("a.jpg , cat ", "cat"),
        ('a.jpg,"cat, tabby"', "cat, tabby"),
        ('a.jpg, "cat, tabby"', "cat, tabby"),
        ('"a.jpg" , "cat, tabby" ', "cat, tabby"),
        ('a.jpg,"the ""big"" one"', 'the "big" one'),
        ('a.jpg,the "big" one', 'the "big" one'),
        ('a.jpg,5" screen', '5" screen'),
        ("a.jpg,cat,", "cat"),
        ("a.jpg,cat,,, ,", "cat"),
        ("a.jpg,cat|dog", "cat|dog"),
        ("a.jpg,'=cat", "=cat"),
    ],
)
def test_rows_that_are_understood(tmp_path: Path, row: str, label: str) -> None:
    assert cells(tmp_path, f"path,label\n{row}\nb.jpg,dog\n") == [
        (2, "a.jpg", label),
        (3, "b.jpg", "dog"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a.jpg,cat, tabby", "has 3 cells and the header 2 (a cell with a comma in it"),
        ("a,b.jpg,cat", "has 3 cells and the header 2"),
        ('a.jpg,the "big, red" one', "has 3 cells and the header 2"),
        ("a.jpg,,,cat", "has 4 cells and the header 2"),
        ('a.jpg,"cat" tabby', "text after a closing quote"),
        ('a.jpg,"the \\"big\\" one"', "text after a closing quote"),
        ('a.jpg,"5" screen"', "text after a closing quote"),
        ("a.jpg,c\0at", "NUL"),
    ],
)
def test_rows_that_are_named(tmp_path: Path, row: str, reason: str) -> None:
    bad, good = cells(tmp_path, f"path,label\n{row}\nb.jpg,dog\n")
    assert bad[0] == 2
    assert reason in bad[1]
    assert good == (3, "b.jpg", "dog")


def test_cells_lacking_at_the_end_are_empty_and_told(tmp_path: Path) -> None:
    text = "path,label,group\na.jpg,cat\nb.jpg\nc.jpg,dog,g\n"
    assert cells(tmp_path, text) == [(2, "a.jpg", "cat"), (3, "b.jpg", ""), (4, "c.jpg", "dog")]
    assert notes(tmp_path, text) == [
        "lines 2, 3 have fewer cells than the header: what is lacking was taken as empty."
    ]


def test_empty_cells_beyond_the_header_may_be_a_slip(tmp_path: Path) -> None:
    text = "path,label,group\na.jpg,cat,\nb.jpg,cat, tabby,\n"
    assert cells(tmp_path, text) == [(2, "a.jpg", "cat"), (3, "b.jpg", "cat")]
    (told,) = notes(tmp_path, text)
    assert told.startswith("line 3 has more cells than the header, the last ones empty")
    assert not notes(tmp_path, "path,label,group\na.jpg,cat,,\nb.jpg,cat,g,\n")
    assert not notes(tmp_path, "path,label\na.jpg,cat\nb.jpg,cat,\n")


def test_columns_without_a_title_hold_nothing(tmp_path: Path) -> None:
    text = "path,label,,\na.jpg,cat,,\nb.jpg,dog,extra,\n"
    good, bad = cells(tmp_path, text)
    assert good == (2, "a.jpg", "cat")
    assert bad[0] == 3
    assert "has 4 cells and the header 2" in bad[1]


# ---- separators, marks and encodings


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_separators(tmp_path: Path, delimiter: str, mark: bytes) -> None:
    text = f"path{delimiter}label\ncafé, 1.jpg{delimiter}cat;1\n".replace(",;|\t", "")
    if delimiter in ",;":
        text = text.replace("café, 1.jpg", '"café, 1.jpg"').replace("cat;1", '"cat;1"')
    assert cells(tmp_path, mark + text.encode()) == [(2, "café, 1.jpg", "cat;1")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", ":"])
@pytest.mark.parametrize("first", ["sep={}", '"sep={}"', "SEP={}", "sep={},,"])
def test_the_first_line_of_excel(tmp_path: Path, delimiter: str, first: str) -> None:
    text = f"{first.format(delimiter)}\r\npath{delimiter}label\r\na.jpg{delimiter}cat\r\n"
    assert cells(tmp_path, b"\xef\xbb\xbf" + text.encode()) == [(3, "a.jpg", "cat")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_with_a_mark(tmp_path: Path, encoding: str) -> None:
    text = "path\tlabel\r\nä.jpg\tcafé\r\nb.jpg\t猫\r\n"
    assert cells(tmp_path, text.encode(encoding)) == [(2, "ä.jpg", "café"), (3, "b.jpg", "猫")]


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_utf_16_of_either_order(tmp_path: Path, encoding: str) -> None:
    text = "\ufeffpath,label\na.jpg,cat\n"
    assert cells(tmp_path, text.encode(encoding)) == [(2, "a.jpg", "cat")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            b"path,label\na.jpg,cat\nb.jpg,caf\xe9\n",
            ("line 3 is not UTF-8", "b.jpg,café", "UTF-8."),
        ),
        ("path,label\na.jpg,cat\n".encode("utf-16-le"), ("UTF-16 without a byte order mark",)),
        ("path,label\na.jpg,cat\n".encode("utf-16-be"), ("UTF-16 without a byte order mark",)),
        ("path,label\na.jpg,cat\n".encode("utf-16")[:-1], ("not whole as UTF-16",)),
    ],
)
def test_encodings_that_are_named(tmp_path: Path, data: bytes, words: tuple[str, ...]) -> None:
    told = wrong(tmp_path, data)
    assert all(word in told for word in words), told


# ---- other formats


def workbook() -> bytes:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("xl/workbook.xml", "<workbook/>")
    return buffer.getvalue()


COCO = {"images": [{"file_name": "a.jpg"}], "annotations": [{"category_id": 1}]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (workbook(), ("Excel workbook", "CSV UTF-8")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ("old Excel workbook", "CSV UTF-8")),
        (b"PAR1" + bytes(40), ("Parquet", "read_parquet(")),
        (b"ARROW1" + bytes(40), ("Feather", "read_feather(")),
        (b"\x1f\x8b\x08" + bytes(40), ("gzip", "Unpack")),
        (b"SQLite format 3\x00" + bytes(40), ("SQLite",)),
        (b"\xff\xd8\xff\xe0" + bytes(40), ("JPEG image",)),
        (json.dumps(COCO).encode(), ("COCO", "JSON Lines")),
        (json.dumps(COCO, indent=1).encode(), ("COCO", "JSON Lines")),
        (b'[{"path": "a.jpg", "label": "cat"}]', ("JSON document", "JSON Lines")),
        (b'{\n "path": "a.jpg"\n}\n', ("JSON document", "JSON Lines")),
        (b'<?xml version="1.0"?><annotation/>', ("XML", "CSV")),
    ],
)
def test_another_format_is_named(tmp_path: Path, data: bytes, words: tuple[str, ...]) -> None:
    told = wrong(tmp_path, data)
    assert all(word in told for word in words), told
    assert "list.csv" in told


# ---- JSON Lines


def test_json_lines(tmp_path: Path) -> None:
    rows: list[Any] = [
        {"path": "a.jpg", "label": "'=cat", "note": {"x": 1}},
        {"label": 3, "path": " b.jpg "},
        {"path": "c.jpg", "label": None},
        {"path": "d.jpg", "label": ["cat", "dog"]},
    ]
    text = "\n\n".join(json.dumps(row) for row in rows) + '\n["no object"]\n{"path": \n'
    assert cells(tmp_path, text) == [
        (1, "a.jpg", "'=cat"),
        (3, "b.jpg", "3"),
        (5, "c.jpg", ""),
        (7, "d.jpg", '["cat", "dog"]'),
        (8, "is no JSON object"),
        (9, "is no JSON object"),
    ]
    assert notes(tmp_path, text) == ["columns not read: 'note'."]


@pytest.mark.parametrize(
    ("label", "reason"),
    [("a\ud800b", "half a character"), ("a\0b", "NUL"), ("a\nb", "line break")],
)
def test_json_text_that_is_none(tmp_path: Path, label: str, reason: str) -> None:
    text = json.dumps({"path": "a.jpg", "label": label}) + '\n{"path": "b.jpg", "label": "x"}\n'
    bad, good = cells(tmp_path, text)
    assert reason in bad[1]
    assert good == (2, "b.jpg", "x")


# ---- columns


@pytest.mark.parametrize(
    ("title", "meaning"),
    [
        *((title, "path") for title in ("Path", "file", "File Name", "image_path", "fileName")),
        *((title, "label") for title in ("Label", "class", "labels", "Category", "target")),
        *((title, "label") for title in ("class-name", "label name", "ClassName")),
        *((title, "split") for title in ("split", "subset", "SET", "partition")),
        *((title, "group") for title in ("group", "group_id")),
        *((title, "annotator") for title in ("annotator", "labeled by", "Annotated_By")),
        *((title, "sha256") for title in ("sha256", "SHA-256", "hash")),
        ("\ufefflabel\u200b", "label"),
    ],
)
def test_titles(tmp_path: Path, title: str, meaning: Meaning) -> None:
    first = "sha256" if meaning == "path" else "path"
    table = open_table(write(tmp_path, f"{first},{title}\nx,y\n"), ALL, [])
    assert [row[1] for row in table.rows() if not isinstance(row, BadRow)] == [
        {first: "x", meaning: "y"}
    ]


@pytest.mark.parametrize(
    ("word", "split"),
    [("True", "valid"), ("1", "valid"), ("1.0", "valid"), ("FALSE", "train"), ("0", "train")],
)
def test_the_flag_of_fastai(tmp_path: Path, word: str, split: str) -> None:
    ((_, row),) = [
        r for r in read(tmp_path, f"path,is_valid\na,{word}\n", ALL) if not isinstance(r, BadRow)
    ]
    assert row["split"] == split


def test_unused_columns_are_named(tmp_path: Path) -> None:
    text = "path,label,tag,Breed ID,\na.jpg,cat,x,y\n"
    assert notes(tmp_path, text) == ["columns not read: 'tag', 'Breed ID'."]


def test_columns_of_other_names_are_told(tmp_path: Path) -> None:
    assert notes(tmp_path, "filename,category\na.jpg,cat\n") == [
        "columns read: 'filename' as path, 'category' as label."
    ]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("path,class,label\na.jpg,cat,Cat\nb.jpg,dog,dog\n", "Cat"),
        ("path,label,target\na.jpg,cat,cat\nb.jpg,dog,\n", "cat"),
        ("path,filename,label\nx/a.jpg,a.jpg,cat\n", "cat"),
        ("path,image_id,label\nx/a.jpg,a,cat\n", "cat"),
        ("path,label,class\na.jpg,,cat\nb.jpg,nan,dog\n", "cat"),
    ],
)
def test_columns_that_agree(tmp_path: Path, text: str, label: str) -> None:
    first = cells(tmp_path, text)[0]
    assert first[2:] == (label,)
    assert not [note for note in notes(tmp_path, text) if "can both be" in note]


def test_columns_that_differ_are_told(tmp_path: Path) -> None:
    text = "path,target,class_name\na.jpg,0,cat\nb.jpg,1,dog\n"
    assert [row[2:] for row in cells(tmp_path, text)] == [("cat",), ("dog",)]
    assert notes(tmp_path, text) == [
        "columns read: 'class_name' as label.",
        "'class_name' and 'target' can both be the label: 'class_name' is read; they differ in "
        "2 rows, first in line 2.",
    ]


def test_one_title_twice(tmp_path: Path) -> None:
    assert cells(tmp_path, "path,label,label\na.jpg,cat,cat\n") == [(2, "a.jpg", "cat")]
    assert "two columns named 'label'" in wrong(tmp_path, "path,label,label\na.jpg,cat,dog\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg,cat\nb.jpg,dog\n", ("looks like a row", "'path,label'")),
        ("cat;x/a.jpg\n", ("looks like a row", "'label;path'")),
        ("name,label\na.jpg,cat\n", ("no column 'path'", "'name', 'label'", "file_name")),
        ("", ("no column 'path'", "nothing")),
        ("\n\n", ("no column 'path'",)),
    ],
)
def test_a_header_that_says_nothing(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    told = wrong(tmp_path, text)
    assert all(word in told for word in words), told


def test_empty_lines_before_the_header(tmp_path: Path) -> None:
    assert cells(tmp_path, "\n \npath,label\na.jpg,cat\n") == [(4, "a.jpg", "cat")]


def test_words_for_no_value(tmp_path: Path) -> None:
    text = "path,group,annotator,split\na,nan,None,\nb,NaN,ann,NULL\nc,g,N/A,<NA>\nd,,,\n"
    rows = [row[1] for row in read(tmp_path, text, ALL) if not isinstance(row, BadRow)]
    assert [row["group"] for row in rows] == ["", "", "g", ""]
    assert [row["annotator"] for row in rows] == ["", "ann", "", ""]
    assert [row["split"] for row in rows] == ["", "", "", ""]
    assert "'nan' in 1 cell of the column for the group was taken as empty." in notes(
        tmp_path, text
    )


def test_lines_in_words() -> None:
    assert name_lines([4]) == "line 4"
    assert name_lines([4, 9]) == "lines 4, 9"
    assert name_lines(list(range(1, 51))) == "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 40 more"


# ---- whatever is written is read

CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n\ufeff", exclude_categories=["Cc"]),
    max_size=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_program_writes_is_read(
    tmp_path: Path,
    rows: list[tuple[str, str]],
    delimiter: str,
    end: str,
    quoting: Any,
    encoding: str,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["path", "label"])
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    found = cells(tmp_path, text.getvalue().encode(encoding))
    wanted = [(a.strip(), b.strip()) for a, b in rows if a.strip() or b.strip()]
    assert [row[1:] for row in found] == wanted
