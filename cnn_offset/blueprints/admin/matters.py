"""What waits for a person, in words: what happened, the choices, and what each of them does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cnn_offset.domain.text import N_
from cnn_offset.services.attention import Kind


@dataclass(frozen=True)
class Matter:
    """One kind of thing that waits; all texts are English message ids."""

    title: str
    happened: str
    choices: tuple[tuple[str, str], ...]
    """What can be chosen, and what it does."""


_LOOK: Final = (
    N_("Look again now"),
    N_("Asks processor and registry once more. Nothing is sent twice."),
)
_RELEASE: Final = (
    N_("Release the order"),
    N_("A named person says that the money is right: its units are cancelled for ever."),
)
_REFUND: Final = (
    N_("Give the money back"),
    N_("The units become free again. The purchaser and the provider are told by mail."),
)
_WITHDRAW: Final = (
    N_("Withdraw the order"),
    N_("For an order without money: its units become free again, and the purchaser is told why."),
)
_DEALT: Final = (
    N_("Mark as dealt with"),
    N_("Puts it aside with your reason. It comes back if something changes."),
)

MATTERS: Final[Mapping[Kind, Matter]] = {
    Kind.ENDING: Matter(
        N_("Paid, and the registry closes"),
        N_(
            "Units of this order are paid and not cancelled, and after the moment below their "
            "registry cancels nothing any more."
        ),
        (
            _LOOK,
            (
                N_("Ask the registry’s staff"),
                N_("Today: what it has not cancelled by then must be paid back."),
            ),
            _REFUND,
        ),
    ),
    Kind.SLOW: Matter(
        N_("Paid and not cancelled"),
        N_("The order was paid more than a quarter of an hour ago, and units are not cancelled."),
        (_LOOK, _REFUND),
    ),
    Kind.UNKNOWN: Matter(
        N_("Unknown at the registry"),
        N_("The registry has not said whether it cancelled the units. We go on asking."),
        (
            _LOOK,
            (
                N_("Ask the registry’s staff"),
                N_("If this lasts. Nothing is sent again until the registry has answered."),
            ),
        ),
    ),
    Kind.MISMATCHED: Matter(
        N_("Serial numbers not as ordered"),
        N_("The registry did something else than was ordered. Nothing is sent again."),
        (
            (
                N_("Confirm the cancellation"),
                N_("If its report is right by now: the serial numbers are checked once more."),
            ),
            (
                N_("Count it as not done"),
                N_("If you have compared the registry’s book and the units are not cancelled."),
            ),
        ),
    ),
    Kind.BOOKS: Matter(
        N_("Other than in the registry’s books"),
        N_("The registry’s own list of cancellations differs from ours."),
        (
            (
                N_("Look at both sides"),
                N_("The page of the difference says what to do, and takes your word on it."),
            ),
        ),
    ),
    Kind.REJECTED: Matter(
        N_("Refused by the registry"),
        N_("The registry refused to cancel the units. Its words are below."),
        (
            (
                N_("Try again"),
                N_("Sends the same request under the same key, unless the registry knows it."),
            ),
            (
                N_("Offer other units in their place"),
                N_("Of the same project and provider, if the purchaser agrees; nobody pays more."),
            ),
            (
                N_("Give the part back"),
                N_("What was paid for it goes back, and the rest of the order goes on."),
            ),
            _REFUND,
        ),
    ),
    Kind.IN_REVIEW: Matter(
        N_("In review: money or units"),
        N_("Money or units of the order are not as they should be, so it was stopped."),
        (_RELEASE, _REFUND, _WITHDRAW),
    ),
    Kind.REFUND_DUE: Matter(
        N_("Refund due"),
        N_("The money is to go back to the purchaser, and some of it has not yet."),
        (
            (
                N_("Propose a refund"),
                N_("A second operator approves; then the processor gives the money back."),
            ),
            (
                N_("Write to the provider"),
                N_("Bank transfers it sends back itself and records on the page of the order."),
            ),
        ),
    ),
    Kind.PART_DUE: Matter(
        N_("Part of the money to give back"),
        N_("A line of the order was given back, and its money is with the provider still."),
        (
            (
                N_("Propose a refund"),
                N_("A second operator approves; then the processor gives the money back."),
            ),
            (
                N_("Write to the provider"),
                N_("Bank transfers it sends back itself; its bank statement shows it."),
            ),
        ),
    ),
    Kind.REFUND_REFUSED: Matter(
        N_("Refund refused by the processor"),
        N_("The processor would not give the money back. Its words are below."),
        (
            (
                N_("Propose the refund again"),
                N_("On the page of the order, when the cause is mended."),
            ),
            _DEALT,
        ),
    ),
    Kind.MONEY_BACK: Matter(
        N_("Money went back after the units were cancelled"),
        N_("Money was given back, or a dispute was lost. The units cannot come back."),
        (
            (
                N_("Write to the provider"),
                N_("The money was the provider’s; it may settle with the purchaser."),
            ),
            _DEALT,
        ),
    ),
    Kind.DISPUTED: Matter(
        N_("Disputed payment"),
        N_("The payer has asked the processor for the money back."),
        (
            (
                N_("Send the provider the evidence"),
                N_("It answers the processor; open a case to download the evidence."),
            ),
            _DEALT,
        ),
    ),
    Kind.SURPLUS: Matter(
        N_("More money than was due"),
        N_("More came than paid the order, or money for an order that had its money already."),
        (
            (
                N_("Propose a refund"),
                N_("A second operator approves; then the processor gives the money back."),
            ),
            _DEALT,
        ),
    ),
    Kind.CERTIFICATE: Matter(
        N_("Attestation not delivered"),
        N_("The mail with an attestation was given up or came back."),
        (
            (
                N_("Send it again"),
                N_("On the page of the order, once the address is known to work."),
            ),
            _DEALT,
        ),
    ),
    Kind.CUTOVER: Matter(
        N_("A move to another registry stands still"),
        N_("It has begun and waits between two steps. Meanwhile these units cannot be ordered."),
        (
            (
                N_("Give the command again"),
                N_("It goes on where it stood, and says what it waits for: see the run-book."),
            ),
        ),
    ),
    Kind.FAULT: Matter(
        N_("Does not add up"),
        N_("When everything was added up last night, this did not agree."),
        (
            (
                N_("Find the cause"),
                N_("Page “Adding up” shows how things stand this minute."),
            ),
            _DEALT,
        ),
    ),
    Kind.UNITS_MISSING: Matter(
        N_("Units missing"),
        N_("A block holds fewer units than are in running orders: sold elsewhere, or vanished."),
        (
            (
                N_("Ask the provider"),
                N_("It brings units back or gives money back; in the end the registry decides."),
            ),
        ),
    ),
    Kind.HOLDINGS: Matter(
        N_("Holdings that differ from what we were told"),
        N_("A registry’s report of a block contradicts itself or what it had told us before."),
        (
            (
                N_("Look at both sides"),
                N_("The page of the difference says what to do. Most end by themselves."),
            ),
        ),
    ),
    Kind.FAILING: Matter(
        N_("Work that keeps failing"),
        N_("Something has failed five times or more and is still being tried."),
        (
            (
                N_("Mend the cause"),
                N_("Read the error. Work of an order can be asked for at once on its page."),
            ),
        ),
    ),
    Kind.PROPOSAL: Matter(
        N_("Waits for a second operator"),
        N_("An operator has proposed a step that needs two persons."),
        (
            (N_("Approve"), N_("It is done at once. Whoever asked cannot approve.")),
            (N_("Refuse"), N_("Nothing is done; your reason is kept.")),
        ),
    ),
    Kind.CORRECTION: Matter(
        N_("Correction asked for"),
        N_("A purchaser asks to have the attestation spelt otherwise."),
        (
            (
                N_("Propose the correction"),
                N_("A second operator approves; a new attestation takes the place of the old."),
            ),
            (N_("Refuse"), N_("The purchaser is told why.")),
        ),
    ),
    Kind.CASE: Matter(
        N_("Answer overdue"),
        N_("Somebody has waited longer than we promise."),
        ((N_("Answer"), N_("Your words go out by mail.")),),
    ),
    Kind.OVERDUE: Matter(
        N_("Provider overdue"),
        N_("The provider has not sent its bank details within two working days."),
        (
            (N_("Remind the provider"), N_("By mail, once a day at most.")),
            (
                N_("Mark as in progress"),
                N_("If you know that the provider has written. The purchaser is told."),
            ),
            _DEALT,
        ),
    ),
    Kind.UNPAID: Matter(
        N_("Held for too long"),
        N_("The order is two weeks overdue, and its money may still be on its way."),
        (
            _LOOK,
            (
                N_("Withdraw the order"),
                N_("If the processor can shut the payment: the units become free again."),
            ),
            (N_("Keep it open"), N_("The order waits longer; its units stay held.")),
            _DEALT,
        ),
    ),
    Kind.MAIL: Matter(
        N_("Mail not delivered"),
        N_("A mail was given up or came back."),
        (
            (
                N_("Send it again"),
                N_("On the page of the order, once the address is known to work."),
            ),
            _DEALT,
        ),
    ),
    Kind.UNMATCHED: Matter(
        N_("Unknown payment"),
        N_("A processor told us of a payment that we do not know."),
        (
            (
                N_("Compare with the processor’s list"),
                N_("Somebody may have paid a provider outside any order."),
            ),
            _DEALT,
        ),
    ),
    Kind.APPLICATION: Matter(
        N_("Application of a provider"),
        N_("An organisation asks to become a provider."),
        (
            (
                N_("Decide"),
                N_("Ask, approve or refuse on its page. The applicant is told by mail."),
            ),
        ),
    ),
    Kind.LISTING: Matter(
        N_("Project page to review"),
        N_("A provider has handed in texts and pictures."),
        (
            (
                N_("Decide"),
                N_("Approve it or give it back with a reason. The provider is told by mail."),
            ),
        ),
    ),
    Kind.PAYOUT: Matter(
        N_("Bank transfer asked for"),
        N_("A provider asks to be paid by bank transfer."),
        ((N_("Decide"), N_("Enable it with the details shown, or refuse with a reason.")),),
    ),
}
