from __future__ import annotations

import hashlib
import itertools
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from labeller import demo
from labeller.demo import make
from labeller.errors import JobCancelled, ProjectError
from labeller.project import Project
from labeller.services.demo import create_demo, truth
from labeller.services.splits import split_of
from labeller.services.thumbnails import thumbnail
from store.records import ExportRow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, float]:
    start = time.perf_counter()
    project = create_demo(tmp_path_factory.mktemp("demo") / "fashion")
    return project, time.perf_counter() - start


@pytest.fixture
def project(made: tuple[Project, float]) -> Project:
    return made[0]


def rows(project: Project) -> list[ExportRow]:
    with project.store.read() as unit:
        return list(unit.labels.export())


def test_it_is_ready_in_time(made: tuple[Project, float]) -> None:
    assert made[1] < 20


def test_what_is_in_it(project: Project) -> None:
    with project.store.read() as unit:
        counts, queue, budget = unit.items.count(), unit.queue.counts(), unit.budget.get()
        names = [record.name for record in unit.classes.all()]
    assert names == list(demo.CLASSES)
    assert (counts.items, counts.labelled, counts.unlabelled) == (3000, 300, 2700)
    assert (budget.total, budget.spent) == (500, 0)
    assert queue.waiting == project.settings.batch


def test_the_labels_are_true_and_balanced(project: Project) -> None:
    answers = truth()
    assert len(answers) == 3000
    found = rows(project)
    assert all(answers[row.sha256] == row.class_name for row in found)
    assert set(Counter(row.class_name for row in found).values()) == {30}
    assert set(Counter((r.class_name, r.split == "audit") for r in found).values()) == {6, 24}
    assert {row.source for row in found} == {"import"}


def test_the_splits_follow_the_rule(project: Project) -> None:
    with project.store.read() as unit:
        items = unit.items.page(limit=4000)
    assert all(item.split == split_of(item.sha256, 0.1, 0.2) for item in items)
    assert 230 < sum(item.split == "audit" for item in items) < 370


def test_the_files_are_what_the_items_say(project: Project) -> None:
    with project.store.read() as unit:
        items = unit.items.page(limit=20)
    for item in items:
        data = project.file(item.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == item.sha256
        assert len(data) == item.bytes
        assert (item.width, item.height, item.copied) == (28, 28, True)
        assert thumbnail(project, item, "card") == (project.file(item.path), "image/png")


def test_names_and_order_tell_no_class(project: Project) -> None:
    answers = truth()
    with project.store.read() as unit:
        items = unit.items.page(order="oldest", limit=4000)
    classes = [answers[item.sha256] for item in items]
    same = sum(a == b for a, b in itertools.pairwise(classes))
    assert 200 < same < 400  # a tenth of 2,999, if the order is no order


def test_two_demos_label_the_same_images(project: Project, tmp_path: Path) -> None:
    other = create_demo(tmp_path / "other")
    assert [(r.sha256, r.class_name, r.split) for r in rows(other)] == [
        (r.sha256, r.class_name, r.split) for r in rows(project)
    ]


def test_the_bytes_are_the_same_with_every_zlib() -> None:
    # An item is its bytes: if these hashes moved, so would every demo's splits and labels.
    digest = hashlib.sha256("".join(sorted(truth())).encode()).hexdigest()
    assert digest == "768d974d9e9ed1eda39edb1bfe3c6421d31ba0233131332e969e0772f7aa8609"


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ProjectError, match="not an empty folder"):
        create_demo(tmp_path)


def test_a_cancelled_demo_leaves_nothing(tmp_path: Path) -> None:
    class Stop:
        def update(
            self, stage: str, done: int, total: int | None, *_: object, **__: object
        ) -> None:
            assert total == 3000

        def check(self) -> None:
            raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        create_demo(tmp_path / "x", Stop())
    assert not (tmp_path / "x").exists()


def test_the_packed_file_is_small_and_licensed() -> None:
    assert demo.PACKED.stat().st_size < 2_500_000
    licence = demo.PACKED.with_name("LICENCE").read_text(encoding="utf-8")
    assert "MIT" in licence
    assert "Zalando" in licence


@pytest.mark.skipif(not make.FOLDER.exists(), reason="needs Debian's dataset-fashion-mnist")
def test_the_packed_file_is_what_the_script_makes(tmp_path: Path) -> None:
    make.main(packed=tmp_path / "again.zip")
    ours, again = demo.load(), demo.load(tmp_path / "again.zip")
    assert np.array_equal(ours[0], again[0])
    assert np.array_equal(ours[1], again[1])
