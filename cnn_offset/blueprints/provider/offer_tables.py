"""Many offers at once: a table uploaded, looked at, applied; and the same to download."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import Final

from flask import (
    Response,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from flask_security import current_user

from cnn_offset.blueprints.provider.offers import figure, outside, said, test_methods
from cnn_offset.blueprints.provider.workspace import bp
from cnn_offset.domain.money import Money
from cnn_offset.domain.staff import Duty
from cnn_offset.domain.status import OfferStatus
from cnn_offset.extensions import db, limiter, unit_of_work
from cnn_offset.guards import staff_may
from cnn_offset.i18n import language, number, read_number
from cnn_offset.models import Offer
from cnn_offset.services import ServiceError, offer_table, offering, stocktaking
from cnn_offset.services.offer_table import COLUMNS, MAX_BYTES, News, Planned, Wish
from cnn_offset.services.offering import Terms
from cnn_offset.services.selling import read_amount
from cnn_offset.services.tables import harmless

_BATCH: Final = 500
_BOM: Final = "\ufeff"


@bp.get("/provider/offers/table")
@staff_may(Duty.OFFERS)
def offer_table_form() -> ResponseReturnValue:
    """Show the form for a table of offers."""
    return render_template("provider/offer_table.html", errors={}, headings=_headings())


@bp.post("/provider/offers/table")
@staff_may(Duty.OFFERS)
@limiter.limit("20 per minute")
def compare_table() -> ResponseReturnValue:
    """Say what a table would change; nothing is changed yet."""
    upload = request.files.get("file")
    raw = upload.stream.read(MAX_BYTES + 1) if upload else b""
    try:
        if not raw:
            raise ServiceError(gettext("Please choose a file."))
        lang = language()
        lines = offer_table.read_table(
            raw,
            read_price=lambda text, currency: read_amount(text, currency, lang),
            read_quantity=lambda text: read_number(text, lang),
        )
        planned = offer_table.plan(db.session(), current_user.provider_id, lines, outside())
    except ServiceError as error:
        page = render_template(
            "provider/offer_table.html", errors={"file": said(error)}, headings=_headings()
        )
        return page, 422
    return render_template(
        "provider/offer_table_plan.html",
        planned=planned,
        counts={news: sum(each.news is news for each in planned) for news in News},
        wishes="\n".join(
            _packed(each) for each in planned if each.news in (News.NEW, News.CHANGED)
        ),
        said=said,
        last_day=offering.last_day,
        terms_of=offer_table.terms_of,
    )


def _headings() -> list[str]:
    return [gettext(words[0]) for words in COLUMNS.values()]


def _packed(planned: Planned) -> str:
    """Write a row for the form that applies it, with the version it was compared with."""
    block, wish = planned.block, planned.line.wish
    assert block is not None
    assert wish is not None
    terms = wish.terms
    cells = (
        block.registry_id,
        block.account_ref,
        block.block_ref,
        terms.price.minor,
        terms.price.currency,
        terms.quantity,
        terms.min_quantity,
        terms.ends_on or "",
        planned.offer.version if planned.offer else 0,
    )
    return "\t".join(str(cell) for cell in cells)


def _unpacked(text: str) -> list[Wish]:
    """Read what :func:`_packed` wrote, and nothing else.

    Raises:
        ValueError: it is something else.

    """
    wishes = []
    for line in text.splitlines()[: offer_table.MAX_ROWS]:
        registry, account, block, minor, currency, quantity, minimum, ends_on, version = line.split(
            "\t"
        )
        numbers = [int(each) for each in (minor, quantity, minimum, version)]
        if max(map(abs, numbers)) > 2**53:
            raise ValueError(line)
        terms = Terms(
            Money(numbers[0], currency),
            numbers[1],
            numbers[2],
            date.fromisoformat(ends_on) if ends_on else None,
        )
        wishes.append(Wish(registry, account, block, terms, numbers[3]))
    return wishes


@bp.post("/provider/offers/table/apply")
@staff_may(Duty.OFFERS)
@limiter.limit("20 per minute")
def apply_table() -> ResponseReturnValue:
    """Make and change the offers of a table that has been looked at."""
    try:
        wishes = _unpacked(request.form.get("wishes", ""))
    except ValueError:
        wishes = []
    if not wishes:
        flash(gettext("There was nothing to change. Please upload the table again."), "warning")
        return redirect(url_for("provider.offer_table_form"))
    test_methods()
    done = offer_table.apply(
        unit_of_work, current_user.provider_id, wishes, outside(), actor=current_user.email
    )
    well = sum(fault is None for _, fault in done)
    if well:
        flash(
            ngettext(
                "%(n)s offer is as in the table now.",
                "%(n)s offers are as in the table now.",
                well,
                n=number(well, language()),
            ),
            "success",
        )
    if well == len(done):
        return redirect(url_for("provider.offers"))
    page = render_template(
        "provider/offer_table_done.html",
        failed=[(wish, said(fault)) for wish, fault in done if fault],
    )
    return page, 422


@bp.get("/provider/offers/table.csv")
def offers_file() -> ResponseReturnValue:
    """Send the present offers as a table that can be changed and uploaded again."""
    ours, lang = current_user.provider_id, language()
    headings = _headings()

    def parts() -> Iterator[str]:
        before = None
        text = io.StringIO()
        writer = csv.writer(text, delimiter="," if lang == "en" else ";")
        text.write(_BOM)
        writer.writerow(headings)
        while True:
            found = stocktaking.offers(
                db.session(), ours, status=OfferStatus.OPEN, before=before, limit=_BATCH
            )
            for offer in found:
                if not offer.private_token:
                    writer.writerow(_row(offer, lang))
            yield text.getvalue()
            text.seek(0)
            text.truncate()
            if len(found) < _BATCH:
                return
            before = found[-1].id

    response = Response(stream_with_context(parts()), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="offers.csv"'
    return response


def _row(offer: Offer, lang: str) -> list[str]:
    block, last = offer.block, offering.last_day(offer)
    cells = [
        block.registry_id,
        block.account_ref,
        block.block_ref,
        figure(offer.price, lang),
        offer.currency,
        str(offer.quantity),
        str(offer.min_quantity),
        last.isoformat() if last else "",
    ]
    # Whoever named the block: a spreadsheet runs what looks like a formula.
    return [harmless(cell) for cell in cells]
