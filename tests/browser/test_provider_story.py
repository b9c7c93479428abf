"""A new provider, from registration to a sold tonne and a matched bank statement.

Nobody touches the database: everything is pressed on pages, and the registry issues its
units by its own means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import desk, selling, shopping
from tests.browser.visitor import Visitor

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("browser"),
]


def test_from_registration_to_a_sold_tonne(
    visit: Callable[..., Visitor], staff: Callable[[str], Visitor], tmp_path: Path
) -> None:
    visitor = visit("en")
    site = visitor.site
    selling.issue_units(visitor, 500)
    selling.register(visitor, "amina@harmattan.example")
    selling.apply(visitor, tmp_path)

    operator = staff("operator@demo.example")
    selling.approve(operator)
    desk.approve(staff("second.operator@demo.example"))

    visitor.go("/provider")
    assert visitor.has("ol.todo")
    selling.set_up_app(visitor)
    selling.ask_for_bank_transfer(visitor)
    selling.enable_bank_transfer(operator)
    selling.connect(visitor, "paypal", "agree")
    selling.write_project_page(visitor, tmp_path)
    selling.review(operator)
    selling.put_on_offer(visitor, "7.50", "100")
    visitor.go("/provider")
    assert not visitor.has("ol.todo > li.now")

    purchaser = visit("en", phone=True)
    email = shopping.new_email()
    slug = site.rows("SELECT slug FROM activity WHERE ref = ?", selling.REF)[0][0]
    shopping.put_in_basket(purchaser, slug, selling.NAME, "3")
    shopping.check_out(purchaser, email, {selling.NAME: "bank_transfer"})
    code = site.rows('SELECT code FROM "order" WHERE email = ?', email)[0][0]

    visitor.go(f"/provider/orders/{code}")
    visitor.press("form[action$='/in-progress'] button")
    reference = re.search(r"RF[0-9]{2}[0-9 ]+", purchaser.says("main"))
    assert reference
    file = selling.statement(tmp_path, "".join(reference[0].split()), "22.50")
    selling.upload_statement(visitor, file)

    purchaser.reload()
    shopping.await_attestation(purchaser)
    assert site.orders_of(email) == ["fulfilled"]
    shopping.read_papers(purchaser, email, tmp_path)

    # The same file once more adds nothing.
    visitor.go("/provider/statements")
    visitor.page.set_input_files("#file", file)
    visitor.press("main form[enctype] button")
    assert len(site.rows("SELECT id FROM bank_entry WHERE bank_ref = 'BANK-1'")) == 1
    visitor.go("/provider/reports")
    assert "22.50" in visitor.says("dl.figures")
