"""A simulated bank: say what was booked on an account, and get the statement as a file."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from xml.sax.saxutils import escape

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

bp = Blueprint("bank", __name__)
ROWS = 4
OPENING = Decimal("1000.00")
FORMATS = {
    "camt053": ("CAMT.053", "xml", "application/xml"),
    "mt940": ("MT940", "sta", "text/plain"),
    "csv": ("CSV", "csv", "text/csv"),
}
Booked = tuple[Decimal, str, str, str]
"""Amount, reference or text, payer, and the bank's own number."""


@bp.get("/bank")
def show() -> str:
    """Ask what was booked."""
    return render_template("sandbox/bank.html", rows=ROWS, formats=FORMATS, error="")


@bp.post("/bank")
def write() -> ResponseReturnValue:
    """Write the statement of today; the same entries have the same numbers every time."""
    form = request.form
    account = re.sub(r"[^0-9A-Za-z/]", "", form.get("account", ""))[:34].upper()
    currency = form.get("currency", "").strip().upper()
    kind = form.get("format", "camt053")
    try:
        booked = [each for n in range(1, ROWS + 1) if (each := _booked(n))]
    except InvalidOperation:
        booked = []
    if not (account and re.fullmatch("[A-Z]{3}", currency) and booked and kind in FORMATS):
        error = "Give an account, a currency such as EUR, and at least one amount such as 12.50."
        page = render_template("sandbox/bank.html", rows=ROWS, formats=FORMATS, error=error)
        return page, 422
    make = {"camt053": _camt053, "mt940": _mt940, "csv": _csv}[kind]
    _, suffix, media = FORMATS[kind]
    day = datetime.now(UTC)
    return Response(
        make(account, currency, booked, f"{day:%Y-%m-%d}"),
        content_type=f"{media}; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename=statement-{day:%Y%m%d}.{suffix}"},
    )


def _booked(n: int) -> Booked | None:
    form = request.form
    text = form.get(f"amount-{n}", "").strip()
    if not text:
        return None
    amount = Decimal(text)
    if not amount.is_finite() or amount == 0 or amount != round(amount, 2):
        raise InvalidOperation
    said = " ".join(form.get(f"text-{n}", "").split())[:140]
    payer = " ".join(form.get(f"payer-{n}", "").split())[:70] or "A payer"
    digest = hashlib.sha256(f"{n} {amount} {said} {payer}".encode()).hexdigest()
    return amount, said, payer, f"SB{digest[:12].upper()}"


def _camt053(account: str, currency: str, booked: list[Booked], day: str) -> str:
    def money(amount: Decimal) -> str:
        word = "DBIT" if amount < 0 else "CRDT"
        return f'<Amt Ccy="{currency}">{abs(amount):.2f}</Amt><CdtDbtInd>{word}</CdtDbtInd>'

    def balance(kind: str, amount: Decimal) -> str:
        return (
            f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{money(amount)}"
            f"<Dt><Dt>{day}</Dt></Dt></Bal>"
        )

    is_iban = re.fullmatch(r"[A-Z]{2}\d\d[0-9A-Z]{11,30}", account)
    own = f"<IBAN>{account}</IBAN>" if is_iban else f"<Othr><Id>{account}</Id></Othr>"
    entries = "".join(
        f"<Ntry>{money(amount)}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt>"
        f"<ValDt><Dt>{day}</Dt></ValDt><AcctSvcrRef>{number}</AcctSvcrRef>"
        "<BkTxCd><Prtry><Cd>166</Cd></Prtry></BkTxCd><NtryDtls><TxDtls><RltdPties>"
        f"<Dbtr><Pty><Nm>{escape(payer)}</Nm></Pty></Dbtr></RltdPties>"
        f"<RmtInf><Ustrd>{escape(said)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        for amount, said, payer, number in booked
    )
    closing = OPENING + sum((each[0] for each in booked), Decimal(0))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>SANDBOX</MsgId><CreDtTm>{day}T06:00:00Z</CreDtTm></GrpHdr>"
        f"<Stmt><Id>SANDBOX</Id><Acct><Id>{own}</Id></Acct>"
        f"{balance('OPBD', OPENING)}{balance('CLBD', closing)}{entries}"
        "</Stmt></BkToCstmrStmt></Document>\n"
    )


def _mt940(account: str, currency: str, booked: list[Booked], day: str) -> str:
    short = day[2:].replace("-", "")
    closing = OPENING

    def comma(amount: Decimal) -> str:
        return f"{abs(amount):.2f}".replace(".", ",")

    lines = [
        ":20:SANDBOX",
        f":25:{account}",
        ":28C:1/1",
        f":60F:C{short}{currency}{comma(OPENING)}",
    ]
    for amount, said, payer, number in booked:
        closing += amount
        mark = "D" if amount < 0 else "C"
        lines.append(f":61:{short}{short[2:]}{mark}{comma(amount)}NTRFNONREF//{number}")
        lines.append(f":86:166?20SVWZ+{said.replace('?', ' ')}?32{payer.replace('?', ' ')}")
    mark = "D" if closing < 0 else "C"
    return "\r\n".join([*lines, f":62F:{mark}{short}{currency}{comma(closing)}", "-", ""])


def _csv(_account: str, currency: str, booked: list[Booked], day: str) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    balance, lines = OPENING, ["Date;Text;Payer;Amount;Currency;Number;Balance"]
    for amount, said, payer, number in booked:
        balance += amount
        cells = (day, cell(said), cell(payer), f"{amount:.2f}", currency, number, f"{balance:.2f}")
        lines.append(";".join(cells))
    return "\n".join([*lines, ""])
