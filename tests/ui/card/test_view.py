"""Looking: zoom, pan, light, layout, touch, contrast; in the real app."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Literal

import pytest
from playwright.sync_api import Browser, FloatRect, Page, expect

from labeller.project import Project
from tests.browser import RunningApp
from tests.cards import Card, events_of, labels_of, open_card, until

Make = Callable[..., Project]
Open = Callable[..., Card]

CORNER = """([x, y]) => {
  for (const host of document.querySelectorAll("[data-testid=stBidiComponentIsolated]")) {
    const canvas = host.shadowRoot?.querySelector("canvas[data-ref=canvas]");
    if (canvas) return [...canvas.getContext("2d").getImageData(
      Math.round(canvas.width * x), Math.round(canvas.height * y), 1, 1).data];
  }
}"""


def pixel(card: Card, x: float, y: float) -> list[int]:
    """Return the colour at a place of the stage given in shares of its size."""
    return list(card.page.evaluate(CORNER, [x, y]))


SIDES: tuple[Literal["x", "y", "width", "height"], ...] = ("x", "y", "width", "height")


def scale(card: Card) -> str:
    """Return what the card says about image size and zoom."""
    return card.part("scale").inner_text().replace("\u202f", " ")


def boxes(card: Card) -> dict[str, dict[str, int]]:
    """Return where the card's fixed parts lie."""
    names = ("stage", "accept", "skip", "undo", "progress", "classes", "helpOpen")
    found = {name: card.part(name).bounding_box() for name in names}
    return {name: {k: round(box[k]) for k in SIDES} for name, box in found.items() if box}


def test_zoom_fit_and_actual_pixels(project_of: Make, card_of: Open) -> None:
    card = card_of(project_of(side=400)).ready()
    page = card.page
    fitted = scale(card)
    assert fitted.startswith("400 × 300 · ")
    page.keyboard.press("End")
    assert scale(card) == "400 × 300 · 100 %"
    expect(card.part("actual")).to_have_attribute("aria-pressed", "true")
    card.part("zoomIn").click()
    assert scale(card) == "400 × 300 · 135 %"
    page.keyboard.press("Home")
    assert scale(card) == fitted
    page.keyboard.press("+")
    page.keyboard.press("PageDown")
    assert scale(card) == fitted
    card.press("1")
    assert scale(card) == fitted, "the next image is fitted again"


def test_the_wheel_zooms_around_the_pointer_and_a_drag_moves(
    project_of: Make, card_of: Open
) -> None:
    card = card_of(project_of(side=400)).ready()
    page = card.page
    box = card.part("stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4
    before = pixel(card, 0.3, 0.4)
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -120)
    page.wait_for_timeout(200)
    assert int(scale(card).split("· ")[1].split()[0]) > 200
    near = [abs(a - b) for a, b in zip(before, pixel(card, 0.3, 0.4), strict=True)]
    assert max(near) <= 12, "the point under the pointer stays"
    here = pixel(card, 0.3, 0.4)
    page.mouse.down()
    page.mouse.move(x + box["width"] * 0.2, y, steps=4)
    page.mouse.up()
    assert pixel(card, 0.5, 0.4) == pytest.approx(here, abs=2), "what was dragged is where it went"
    page.mouse.dblclick(x, y)
    expect(card.part("fit")).to_have_attribute("aria-pressed", "true")
    assert card.name == "0000.jpg", "looking labels nothing"


def test_all_pixels_come_when_zoomed_beyond_the_card_image(project_of: Make, card_of: Open) -> None:
    project = project_of(side=1_600, items=2, card_pixels=256)
    sizes: list[str] = []
    card = card_of(project)
    card.page.on("request", lambda r: sizes.append(r.url.rpartition("size=")[2]))
    card.ready()
    card.page.wait_for_timeout(300)
    assert "full" not in sizes
    card.page.keyboard.press("End")
    until(lambda: "full" in sizes, "the full image", page=card.page)
    expect(card.part("scale")).to_have_text("1600 × 1200 · 100\u202f%")


def test_light_is_kept_and_reset(project_of: Make, card_of: Open) -> None:
    card = card_of(project_of()).ready()
    card.part("adjust").click()
    card.part("brightness").focus()
    card.page.keyboard.press("ArrowRight")
    card.part("contrast").fill("150")
    expect(card.part("canvas")).to_have_css("filter", "brightness(1.05) contrast(1.5)")
    card.press("1")
    expect(card.part("canvas")).to_have_css("filter", "brightness(1.05) contrast(1.5)")
    expect(card.part("adjusted")).to_be_visible()
    card.part("resetLight").click()
    expect(card.part("canvas")).to_have_css("filter", "none")


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 800), pytest.param(1920, 1080, marks=pytest.mark.slow), (390, 844)]
)
def test_the_card_fills_the_window_and_nothing_moves(
    project_of: Make, card_of: Open, width: int, height: int
) -> None:
    card = card_of(project_of(suggest=True)).ready()
    card.page.set_viewport_size({"width": width, "height": height})
    card.press("1")
    card.page.wait_for_timeout(400)
    before = boxes(card)
    card.press("Space", "1", "-")
    assert boxes(card) == before
    assert card.page.evaluate(
        """() => [document.scrollingElement, document.querySelector("[data-testid=stMain]")]
           .every(e => e.scrollHeight <= e.clientHeight && e.scrollWidth <= e.clientWidth)"""
    ), "the page does not scroll"
    bottom = max(box["y"] + box["height"] for box in before.values())
    assert height - 130 < bottom <= height
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in before.values())


def test_nothing_overlaps_at_any_width(project_of: Make, card_of: Open) -> None:
    card = card_of(project_of(budget=5_000, suggest=True)).ready()
    card.press("1")
    names = ["progress", "queue", "rate", "budget", "budgetWord", "zoomOut", "helpOpen", "accept"]
    names += ["skip", "flag", "undo", "classes", "name"]
    for width in (360, 480, 640, 768, 900, 1024, 1150, 1280, 1440, 1700, 1920):
        card.page.set_viewport_size({"width": width, "height": 800})
        card.page.wait_for_timeout(250)
        found = {name: card.part(name).bounding_box() for name in names}
        parts = {name: box for name, box in found.items() if box}
        assert len(parts) == len(names)
        for a, b in combinations(parts, 2):
            assert not overlap(parts[a], parts[b]), f"{a} and {b} at {width}"
        assert all(box["x"] + box["width"] <= width for box in parts.values()), width
        assert parts["progress"]["width"] >= 40, width
        assert parts["accept"]["width"] >= 120, width


def overlap(a: FloatRect, b: FloatRect) -> bool:
    return (
        min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"]) > 1
        and min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"]) > 1
    )


def test_fingers_label_pinch_and_drag(project_of: Make, chromium: Browser, app: RunningApp) -> None:
    project = project_of(side=400)
    phone = chromium.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        device_scale_factor=3,
    )
    card = open_card(phone, app, project).ready()
    page = card.page
    page.locator(".class").nth(1).tap()
    expect(card.part("name")).to_have_text("0001.jpg")
    card.part("undo").tap()
    expect(card.part("name")).to_have_text("0000.jpg")
    before = scale(card)
    box = card.part("stage").bounding_box()
    assert box is not None
    pinch(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert scale(card) != before
    card.part("fit").tap()
    assert scale(card) == before
    small = [
        (b.inner_text(), b.bounding_box())
        for b in page.locator(".card button:visible, .card input:visible").all()
    ]
    assert [s for s in small if s[1] and min(s[1]["width"], s[1]["height"]) < 40] == []
    until(lambda: events_of(project) == {"label": 1, "undo": 1}, "by touch")
    phone.close()


def pinch(page: Page, x: float, y: float) -> None:
    """Move two fingers apart."""
    session = page.context.new_cdp_session(page)
    for step in range(6):
        gap = 20 + step * 15
        points = [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]
        kind = "touchStart" if step == 0 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


AUDIT = """() => {
  const host = [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")]
    .find(h => h.shadowRoot?.querySelector(".card"));
  const card = host.shadowRoot.querySelector(".card");
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, below) => top.slice(0, 3).map(
    (v, i) => v * top[3] / 255 + below[i] * (1 - top[3] / 255));
  const behind = (node) => {
    if (!node) return rgba(getComputedStyle(document.querySelector(".stApp")).backgroundColor);
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 255 ? own : [...over(own, behind(node.parentElement)), 255];
  };
  const light = (c) => {
    const [r, g, b] = c.map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const bad = [];
  const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility() || node.closest(".unseen, .given")) continue;
    const style = getComputedStyle(node);
    const ground = behind(node);
    let share = 1;
    for (let n = node; n; n = n.parentElement) share *= Number(getComputedStyle(n).opacity);
    const ink = rgba(style.color);
    ink[3] *= share;
    const [a, b] = [light(over(ink, ground)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5 && !node.closest(":disabled")) bad.push(`${text}: ${ratio.toFixed(2)}`);
  }
  for (const node of card.querySelectorAll("button, input, canvas, [role=progressbar], dialog")) {
    const id = node.getAttribute("aria-labelledby");
    if (node.ariaHidden === "true") continue;
    const name = node.getAttribute("aria-label") || node.textContent.trim()
      || (id && card.querySelector(`#${id}`)?.textContent)
      || node.labels?.[0]?.textContent.trim();
    if (!name) bad.push(`no name: ${node.outerHTML.slice(0, 80)}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_every_control_a_name(
    project_of: Make, card_of: Open, scheme: str
) -> None:
    project = project_of(classes=[f"class {n}" for n in range(24)], suggest=True)
    card = card_of(project)
    card.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    card.page.reload()
    card.press("1", "2")
    card.page.route("**/api/v1/labels", lambda route: route.abort())
    card.press("3", "4")
    expect(card.part("away")).to_be_visible()
    card.page.wait_for_timeout(600)  # the class just given has stopped glowing
    assert card.page.evaluate(AUDIT) == []
    card.page.keyboard.press("?")
    assert card.page.evaluate(AUDIT) == []
    card.page.keyboard.press("Escape")
    card.page.keyboard.press("!")
    assert card.page.evaluate(AUDIT) == []


@pytest.mark.slow
def test_a_focused_button_shows_a_ring(project_of: Make, card_of: Open) -> None:
    card = card_of(project_of()).ready()
    card.part("skip").focus()
    card.page.keyboard.press("Tab")
    width = "() => getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineWidth"
    assert card.page.evaluate(width) == "3px"


def test_markup_in_names_stays_text(project_of: Make, card_of: Open) -> None:
    name = '<img src=x onerror="document.title=`hit`">'
    project = project_of(classes=[name, "b"], suggest=True)
    card = card_of(project).ready()
    expect(card.part("suggested")).to_have_text(name)
    card.press("1")
    expect(card.page.locator(".class-name").first).to_have_text(name)
    assert card.page.locator(".card img").count() == 0
    until(lambda: labels_of(project) == {"0000.jpg": name}, "labelled")
    assert card.page.title() != "hit"


def test_a_screen_reader_hears_what_was_done(project_of: Make, card_of: Open) -> None:
    card = card_of(project_of()).ready()
    card.press("2")
    expect(card.part("live")).to_have_text("dog. Next: 0001.jpg.")
    expect(card.part("canvas")).to_have_attribute("aria-label", "Image 0001.jpg")
    expect(card.part("progress")).to_have_attribute("aria-valuenow", "1")
