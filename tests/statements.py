"""Bank statements made to order, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

IBAN = "DE89370400440532013000"


@dataclass(frozen=True)
class Line:
    """One entry; a negative amount is money that went."""

    amount: str
    text: str = ""
    ref: str = ""
    payer: str = "Ada Example"
    day: str = "2026-11-02"


def camt053(
    lines: Sequence[Line],
    *,
    account: str = IBAN,
    currency: str = "USD",
    version: str = "08",
    opening: str = "1000.00",
    brief: bool = False,
) -> bytes:
    """Write a CAMT.053 file that adds up; ``brief`` leaves out what is not needed."""
    total = Decimal(opening) + sum((Decimal(each.amount) for each in lines), Decimal(0))
    entries = "".join(_entry(each, currency, brief, version) for each in lines)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}">'
        f"<BkToCstmrStmt><Stmt><Id>S</Id><Acct><Id><IBAN>{account}</IBAN></Id></Acct>"
        f"{_balance('OPBD', Decimal(opening), currency)}{_balance('CLBD', total, currency)}"
        f"{entries}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def _balance(kind: str, amount: Decimal, currency: str) -> str:
    word = "DBIT" if amount < 0 else "CRDT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="{currency}">{abs(amount):.2f}</Amt><CdtDbtInd>{word}</CdtDbtInd></Bal>'
    )


def _entry(line: Line, currency: str, brief: bool, version: str) -> str:
    amount = Decimal(line.amount)
    word, side = ("DBIT", "Cdtr") if amount < 0 else ("CRDT", "Dbtr")
    status = "BOOK" if version < "04" else "<Cd>BOOK</Cd>"
    name = f"<Nm>{line.payer}</Nm>" if version < "08" else f"<Pty><Nm>{line.payer}</Nm></Pty>"
    ref = f"<AcctSvcrRef>{line.ref}</AcctSvcrRef>" if line.ref else ""
    details = (
        ""
        if brief
        else f"<NtryDtls><TxDtls><RltdPties><{side}>{name}</{side}></RltdPties>"
        f"<RmtInf><Ustrd>{line.text}</Ustrd></RmtInf></TxDtls></NtryDtls>"
    )
    return (
        f'<Ntry><Amt Ccy="{currency}">{abs(amount):.2f}</Amt><CdtDbtInd>{word}</CdtDbtInd>'
        f"<Sts>{status}</Sts><ValDt><Dt>{line.day}</Dt></ValDt>{ref}{details}</Ntry>"
    )


def mt940(
    lines: Sequence[Line], *, account: str = IBAN, currency: str = "EUR", brief: bool = False
) -> bytes:
    """Write an MT940 file that adds up."""
    total, rows = Decimal(1000), []
    for each in lines:
        amount = Decimal(each.amount)
        total += amount
        day = each.day.replace("-", "")
        mark = "D" if amount < 0 else "C"
        rows.append(
            f":61:{day[2:]}{day[4:]}{mark}{_comma(abs(amount))}NTRFNONREF"
            + (f"//{each.ref}" if each.ref else "")
        )
        if not brief:
            rows.append(f":86:166?20SVWZ+{each.text}?32{each.payer}")
    head = [":20:S", f":25:{account}", ":28C:1/1", f":60F:C261101{currency}1000,00"]
    tail = [f":62F:C261130{currency}{_comma(total)}", "-", ""]
    return "\r\n".join([*head, *rows, *tail]).encode()


def _comma(amount: Decimal) -> str:
    return f"{amount:.2f}".replace(".", ",")


def table(rows: Sequence[Sequence[str]], head: str = "Date;Text;Amount") -> bytes:
    """Write a table of semicolons with one row of heading."""
    return "\n".join([head, *(";".join(f'"{cell}"' for cell in row) for row in rows)]).encode()
