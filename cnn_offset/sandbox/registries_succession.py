"""The interim Article 6.4 registry's units pass into the final one, with new numbers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from .faults import current_faults
from .registries_books import Book, free_spans, held
from .state import Document, current_state

bp = Blueprint("registries_succession", __name__)
OPTIONS = {
    "split": dict,
    "merge": list,
    "leave_out": list,
    "twice": list,
    "fewer": list,
    "unit_types": dict,
    "activities": dict,
    "accounts": dict,
    "periods": dict,
    "keep_old": bool,
}


@bp.post("/control/registries/a64-final/succeed")
def succeed() -> ResponseReturnValue:
    """Pass all units that the interim registry holds into this one; safe to repeat.

    What can go otherwise than well, by the old blocks' names: ``split`` into so many units
    each, ``merge`` lists of blocks into one, ``leave_out``, claim ``twice``, tell one unit
    ``fewer``, other ``unit_types``, other ``periods`` of monitoring. ``activities`` and
    ``accounts`` give new names to old ones. With ``keep_old`` the interim registry's books
    stay as they are, as before the hour of the move.
    """
    body = request.get_json(silent=True) or {}
    wrong = [key for key, value in body.items() if not isinstance(value, OPTIONS.get(key, ()))]
    if wrong:
        return jsonify(error=f"unknown, or of the wrong type: {', '.join(wrong)}"), 400
    state = current_state()
    old, new = (Book(name, state, current_faults()) for name in ("a64-interim", "a64-final"))
    old.work()
    with state.transaction():
        try:
            made = _succeed(old, new, body)
        except (KeyError, TypeError, ValueError) as error:
            return jsonify(error=str(error)), 400
    return jsonify(blocks=made)


def _succeed(old: Book, new: Book, options: Document) -> list[Document]:
    left_out = set(options.get("leave_out", ()))
    blocks = {each["block_ref"]: each for each in old.blocks() if held(each)}
    done = {origin["holding"] for each in new.blocks() for origin in each.get("origins", ())}
    blocks = {ref: each for ref, each in blocks.items() if ref not in done}
    merged = [[blocks.pop(ref) for ref in refs] for refs in options.get("merge", ())]
    made = []
    for group in [*merged, *([each] for each in blocks.values())]:
        if group[0]["block_ref"] in left_out:
            continue
        parts = _parts(old, group, options.get("split", {}))
        made += [_issue(new, group[0], origins, options) for origins in parts]
        if group[0]["block_ref"] in options.get("twice", ()):
            made.append(_issue(new, group[0], _origins(old, group[0]), options))
    if not options.get("keep_old"):
        for each in old.blocks():
            if each["block_ref"] not in left_out:
                old.empty(each)
    return made


def _origins(old: Book, block: Document) -> list[Document]:
    return [
        {
            "holding": block["block_ref"],
            "series": block["series"],
            "from": first,
            "to": last,
            "from_id": old.serial(block, first),
            "to_id": old.serial(block, last),
        }
        for first, last in free_spans(block)
    ]


def _parts(old: Book, group: list[Document], split: dict[str, Any]) -> list[list[Document]]:
    """Say what each new block is made of."""
    ref = group[0]["block_ref"]
    if ref not in split:
        return [[origin for each in group for origin in _origins(old, each)]]
    parts, rest = [], list(free_spans(group[0]))
    for quantity in split[ref]:
        part = []
        while quantity:
            first, last = rest.pop(0)
            end = min(last, first + quantity - 1)
            quantity -= end - first + 1
            part += _origins(old, group[0] | {"first": first, "last": end, "taken": []})
            if end < last:
                rest.insert(0, (end + 1, last))
        parts.append(part)
    if rest:
        raise ValueError(f"block {ref} has more units than its parts")
    return parts


def _issue(new: Book, first: Document, origins: list[Document], options: Document) -> Document:
    ref = first["block_ref"]
    quantity = sum(each["to"] - each["from"] + 1 for each in origins)
    start, end = options.get("periods", {}).get(
        ref, (first["monitoring_start"], first["monitoring_end"])
    )
    [made] = new.seed(
        [
            {
                "account": options.get("accounts", {}).get(first["account"], first["account"]),
                "account_kind": first["account_kind"],
                "activity": options.get("activities", {}).get(first["activity"], first["activity"]),
                "unit_type": options.get("unit_types", {}).get(ref, first["unit_type"]),
                "party": first["party"],
                "quantity": quantity - (ref in options.get("fewer", ())),
                "monitoring_start": start,
                "monitoring_end": end,
                "vintage": first["vintage"],
                "share_of_proceeds": first["share_of_proceeds"],
            }
        ]
    )
    return new.say_origins(made, first["account"], origins)
