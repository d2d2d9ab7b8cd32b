"""The images of a prediction: filters, thumbnails least sure first, and one of them large."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from PIL import Image

from labeller.errors import ImageError, PredictionError
from labeller.project import Project
from labeller.services import prediction_index, predictions, recent
from labeller.services.prediction_index import Order, Part, Row, Rows, Summary, Wanted
from labeller.services.prediction_plans import folder_of
from labeller.services.predictions import Kept
from labeller.ui import address, browse_filters, opened, session, view
from labeller.ui.grid import Tile, grid
from labeller.ui.text import escape_markdown

PAGE = 60
ERRORS = 500
PARTS: dict[Part, str] = {
    "all": "All",
    "unfamiliar": "Like nothing seen",
    "errors": "Could not be read",
}
ORDERS: dict[Order, str] = {
    "unsure": "Least sure first",
    "sure": "Surest first",
    "unfamiliar": "Least familiar first",
}
_ALL = -1
_SMALL = 96
_LISTED = 10  # probabilities beside a large image


def show(project: Project, kept: Kept, summary: Summary) -> None:
    """Draw the images; a fragment, so that a filter never draws the whole page anew."""
    key = f"predict_grid_{kept.plan.id}"
    st.fragment(_show, key=key)(str(project.root), kept, summary, key)
    st.fragment(_opened, key=opened.DIALOG)(str(project.root), kept, summary, key)


def _show(root: str, kept: Kept, summary: Summary, key: str) -> None:
    project = recent.opened(root)
    session.show_toasts()
    address.begin_part("class", "confidence", "order", "size", "page")
    folder = folder_of(project, kept.number)
    try:
        rows = prediction_index.read_rows(folder)
        part = _part(kept, summary)
        if part == "errors":
            _errors(project, kept, rows)
        else:
            _images(project, kept, summary, rows, part, key)
    except PredictionError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    address.write()


def _part(kept: Kept, summary: Summary) -> Part:
    """Draw the parts that there are, with their numbers."""
    numbers: dict[Part, int] = {
        "all": summary.predicted,
        "unfamiliar": summary.unfamiliar or 0,
        "errors": summary.failed,
    }
    there = [part for part in PARTS if numbers[part]]
    address.choice("part", f"predict_part_{kept.plan.id}", there, there[0])
    chosen: Part | None = st.pills(
        "Images",
        there,
        required=True,
        format_func=lambda part: f"{PARTS[part]} {numbers[part]:,}",
        key=f"predict_part_{kept.plan.id}",
        label_visibility="collapsed",
    )
    return chosen or there[0]


def _images(
    project: Project, kept: Kept, summary: Summary, rows: Rows, part: Part, key: str
) -> None:
    wanted, pixels = _filters(kept, summary, part)
    found = prediction_index.find(rows, wanted, summary.threshold)
    if not len(found):
        with st.container(border=True, horizontal_alignment="center"):
            st.markdown("No image matches these filters.")
        return
    start = PAGE * (_page(kept, wanted, len(found), PAGE, "image") - 1)
    folder = folder_of(project, kept.number)
    page = prediction_index.read(folder, rows, found[start : start + PAGE].tolist())
    with project.store.read() as unit:
        colours = {one.name: one.colour for one in unit.classes.all()}
    grid(
        project,
        session.annotator(),
        [_tile(project, kept, row, colours) for row in page],
        key=key,
        reset=0,
        pixels=pixels,
        choosing=False,
    )


def _opened(root: str, kept: Kept, summary: Summary, key: str) -> None:
    """Draw the dialog of the image that was opened, until it is closed."""
    project = recent.opened(root)
    number = opened.in_grid(key)
    if number is None:
        return
    folder = folder_of(project, kept.number)
    try:
        rows = prediction_index.read_rows(folder)
        found = prediction_index.read(folder, rows, [number] if number < len(rows) else [])
    except PredictionError:  # the grid says so
        found = []
    if not found:
        opened.close()
        return
    draw = st.dialog("Prediction", width="large", on_dismiss=opened.close)(_one)
    draw(project, kept, summary, found[0])


def _filters(kept: Kept, summary: Summary, part: Part) -> tuple[Wanted, int]:
    """Draw class, confidence, order and size."""
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    by_name = sorted(range(len(summary.classes)), key=lambda column: summary.classes[column])
    columns = [_ALL, *(column for column in by_name if summary.counts[column])]
    address.choice(
        "class", f"predict_class_{kept.plan.id}", columns, _ALL, summary.classes.__getitem__
    )
    column = bar.selectbox(
        "Class",
        columns,
        format_func=lambda i: "All classes" if i == _ALL else summary.classes[i],
        key=f"predict_class_{kept.plan.id}",
        width=200,
    )
    key = f"predict_range_{kept.plan.id}"
    low, high = address.span("confidence", key, 0, 100)
    bar.slider("Confidence (%)", 0, 100, key=key, width=220)
    address.choice("order", f"predict_order_{kept.plan.id}", ORDERS, "unsure")
    order = bar.selectbox(
        "Order",
        list(ORDERS),
        format_func=ORDERS.__getitem__,
        key=f"predict_order_{kept.plan.id}",
        width=190,
    )
    sizes = browse_filters.SIZES
    address.choice("size", "predict_size", sizes, browse_filters.USUAL_SIZE)
    size = bar.segmented_control("Size", list(sizes), required=True, key="predict_size")
    wanted = None if column == _ALL else column
    return Wanted(part, wanted, low / 100, high / 100, order), sizes[
        size or browse_filters.USUAL_SIZE
    ]


def _page(kept: Kept, wanted: Wanted, total: int, length: int, noun: str) -> int:
    """Draw the pages; another filter begins at page 1."""
    pages = -(-total // length)
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.caption(view.count(total, noun))
        key = f"predict_page_{kept.plan.id}_{hash(wanted)}_{pages}"
        address.number("page", key, 1, pages)
        return 1 if pages == 1 else st.pagination(pages, key=key)


def _tile(project: Project, kept: Kept, row: Row, colours: dict[str, str]) -> Tile:
    """Turn a row into a thumbnail with its confidence and class."""
    return Tile(
        id=row.number,
        name=row.key,
        image=predictions.image_url(project, kept, row.number),
        width=0,
        height=0,
        label=f"{view.percent(row.confidence or 0.0, 0)} {row.class_name}",
        colour=colours.get(row.class_name or ""),
    )


def _errors(project: Project, kept: Kept, rows: Rows) -> None:
    """List the images that could not be read."""
    wanted = Wanted("errors")
    found = prediction_index.find(rows, wanted, None)
    start = ERRORS * (_page(kept, wanted, len(found), ERRORS, "file") - 1)
    folder = folder_of(project, kept.number)
    page = prediction_index.read(folder, rows, found[start : start + ERRORS].tolist())
    st.dataframe(
        error_rows(page),
        hide_index=True,
        height="auto" if len(page) < 10 else 380,
        column_config={"File": st.column_config.TextColumn(width="medium")},
        key=f"predict_errors_{kept.plan.id}_{start}",
    )


def error_rows(page: Sequence[Row]) -> list[dict[str, str]]:
    """Return the table of images that could not be read."""
    return [{"File": row.key, "Reason": row.error or "", "What helps": row.mend} for row in page]


def _one(project: Project, kept: Kept, summary: Summary, row: Row) -> None:
    """Draw one image large, with all that the model said of it."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _picture(project, kept, row)
        st.caption(escape_markdown(row.key))
    with right:
        st.markdown(f"#### {escape_markdown(row.class_name or '')}")
        st.markdown(f"Confidence **{view.percent(row.confidence or 0.0)}**")
        if row.energy is not None:
            st.caption(escape_markdown(energy_text(row.energy, summary.threshold)))
        listed = sorted(row.probs.items(), key=lambda one: -one[1])
        st.dataframe(
            [{"Class": name, "Probability": 100 * share} for name, share in listed[:_LISTED]],
            hide_index=True,
            column_config={
                "Probability": st.column_config.ProgressColumn(
                    format="%.1f %%", min_value=0, max_value=100
                )
            },
        )
        if len(listed) > _LISTED:
            st.caption(f"The {_LISTED} likeliest of {len(listed)} classes.")


def energy_text(energy: float, threshold: float | None) -> str:
    """Say how familiar an image looks, by its energy."""
    written = f"Energy {energy:.2f}".replace("-", "−")
    if threshold is None:
        return f"{written}."
    bound = f"{threshold:.2f}".replace("-", "−")
    if energy > threshold:
        return f"{written}, above {bound}: it looks like nothing that the model has seen."
    return f"{written}, not above {bound}: it looks like what the model has seen."


def _picture(project: Project, kept: Kept, row: Row) -> None:
    """Draw the image, or why it cannot be shown."""
    try:
        path = predictions.picture(project, kept.number, row.number, "card")
        if path is None:
            st.error("It was gone before it could be noted where it lies.", icon=":material/error:")
            return
        with Image.open(path) as image:
            small = max(image.size) < _SMALL
        with st.container(key="lb_item_small_predicted" if small else "lb_item_image_predicted"):
            st.image(str(path), width="stretch", alt=row.key)
    except (ImageError, OSError) as error:
        st.error(escape_markdown(f"It cannot be shown: {error}"), icon=":material/error:")
