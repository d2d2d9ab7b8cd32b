"""Commands that list items and set the budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeller.cli.output import emit, example, json_option, number, project_argument, table

if TYPE_CHECKING:
    from labeller.services.item_list import ListedItem, Order
    from store.records import ItemState, Split

STATES = ("unlabelled", "labelled", "skipped", "flagged")
SPLITS = ("train", "valid", "audit", "unused")
ORDERS = ("newest", "oldest", "path")


@click.command("items", epilog=example("labeller items birds --class owl --split train"))
@project_argument
@click.option("--state", type=click.Choice(STATES), help="Only items in this state.")
@click.option("--class", "class_name", metavar="NAME", help="Only items labelled with this class.")
@click.option("--split", type=click.Choice(SPLITS), help="Only items of this split.")
@click.option("--text", metavar="TEXT", help="Only items whose path contains this.")
@click.option("--generated", is_flag=True, help="Only items whose label was generated.")
@click.option(
    "--order", type=click.Choice(ORDERS), default="newest", show_default=True, help="Order."
)
@click.option("--after", metavar="ITEM", type=click.IntRange(min=1), help="Go on behind this item.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 1_000),
    default=100,
    show_default=True,
    help="How many to list.",
)
@json_option
def items_command(
    project: Path,
    state: ItemState | None,
    class_name: str | None,
    split: Split | None,
    text: str | None,
    generated: bool,
    order: Order,
    after: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List items, filtered; what the Images page shows.

    The JSON object holds items, how many there are in all (total), and the item to go on behind
    (after).
    """
    from labeller.project import open_project
    from labeller.services.item_list import ItemFilter, list_items

    wanted = ItemFilter(state, class_name, split, text, generated, order)
    page = list_items(open_project(project), wanted, after, limit)
    data = {
        "items": [item.to_json() for item in page.items],
        "total": page.total,
        "after": page.after,
    }
    lines = [table([("item", "state", "split", "class", "path"), *map(_row, page.items)])]
    if page.after is not None:
        lines.append(f"{page.total:,} in all; go on with --after {page.after}")
    emit(data, as_json, "\n".join(lines) if page.items else "No item matches.")


def _row(listed: ListedItem) -> tuple[str, ...]:
    item, label = listed.item, listed.label
    return str(item.id), item.state, item.split, label.class_name if label else "-", item.path


@click.command("budget", epilog=example("labeller budget birds --add 200"))
@project_argument
@click.option("--set", "total", metavar="N", type=click.FloatRange(0), help="Set the whole budget.")
@click.option("--add", metavar="N", type=float, help="Raise the budget by so much.")
@click.option("--no-limit", is_flag=True, help="Label without a limit.")
@json_option
def budget_command(
    project: Path, total: float | None, add: float | None, no_limit: bool, as_json: bool
) -> None:
    """Show the labelling budget, or set it.

    What is spent already counts in; less than that cannot be set.
    """
    from labeller.project import open_project
    from labeller.services import budget

    if sum((total is not None, add is not None, no_limit)) > 1:
        raise click.UsageError("Give one of --set, --add and --no-limit.")
    opened = open_project(project)
    if add is not None:
        budget.add(opened, add)
    elif total is not None or no_limit:
        budget.set_total(opened, total)
    meter = budget.meter(opened)
    data = {
        "total": meter.total,
        "spent": meter.spent,
        "reserved": meter.reserved,
        "left": meter.free,
        "price": opened.settings.label_price,
    }
    limit = "no limit" if meter.total is None else f"{number(meter.free)} of {number(meter.total)}"
    text = f"{limit} left, {number(meter.spent)} spent, {number(meter.reserved)} reserved."
    emit(data, as_json, text[0].upper() + text[1:])
