"""What holds for each type of unit: its words, its claims, its limits. The one place for it.

From the decisions named in domain-facts.md 1 to 3: for CERs those of the clean development
mechanism, for A6.4ERs 3/CMA.3 and 7/CMA.4. All texts are English message ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from cnn_offset.domain.text import N_
from cnn_offset.domain.units import UnitType


class Mechanism(StrEnum):
    """Under whose rules units are issued."""

    CDM = "cdm"
    ARTICLE_6_4 = "a64"


@dataclass(frozen=True, slots=True)
class Period:
    """A commitment period of the Kyoto Protocol."""

    name: str
    start: date
    """The first day of the reductions it is for."""
    end: date


PERIODS: Final[Mapping[int, Period]] = {
    # Projects that began early have reductions from the year 2000 in it.
    1: Period(N_("First (2008–2012)"), date(2000, 1, 1), date(2012, 12, 31)),
    2: Period(N_("Second (2013–2020)"), date(2013, 1, 1), date(2020, 12, 31)),
}


@dataclass(frozen=True, slots=True)
class Levy:
    """A part of all units issued that was set apart before any could be offered.

    Nothing is ever computed with it here: what providers hold is what is left.
    """

    percent: int
    what: str


@dataclass(frozen=True, slots=True)
class UnitRules:
    """What holds for one type of unit."""

    label: str
    """Its short name."""
    name: str
    """Its name in the decisions of the Parties."""
    mechanism: Mechanism
    note: str
    """What it is, in a sentence or two, where units are chosen (A6)."""
    meaning: str
    """What it is and what may be said of it, on attestations and in the record."""
    may_say: tuple[str, ...]
    """What a cancellation of such units lets one say."""
    never_say: tuple[str, ...]
    """What it does not."""
    counted: str
    """Whether the host Party counts it."""
    lasting: str
    """Whether the reduction lasts."""
    account: str
    """The kind of account in its registry that a voluntary cancellation goes to."""
    warning: str = ""
    """What a purchaser must know before paying; empty if there is nothing."""
    lasts: bool = True
    """Whether units stay valid for ever; those that do not have a last day."""
    is_authorised: bool | None = None
    """Whether the host Party has authorised its use; None where there is no such thing."""
    periods: tuple[int, ...] = ()
    """The commitment periods that are taken; none where the mechanism knows none."""
    code: int | None = None
    """The number for the type within serial numbers, where these can be read."""
    levies: tuple[Levy, ...] = ()


_CDM_LEVY: Final = Levy(2, N_("went to the Adaptation Fund (least developed countries are exempt)"))
_A64_LEVIES: Final = (
    Levy(5, N_("went to the Adaptation Fund (some countries are exempt)")),
    Levy(2, N_("or more were cancelled for an overall mitigation in global emissions")),
)
_CDM_ACCOUNT: Final = N_("Voluntary cancellation account of the CDM registry")
_A64_ACCOUNT: Final = N_("Voluntary cancellation for other purposes")
_FACTS: Final = N_(
    "how many tonnes were cancelled for good, which project achieved them, where, in which "
    "period, and the serial numbers"
)
_OWN_FIGURE: Final = N_("that your own emissions are lower than those you measured")
_LASTING: Final = N_("that the reduction is permanent, or that it matches emissions that last")
_PARIS: Final = N_("that it counts towards a country’s target under the Paris Agreement")

UNIT_RULES: Final[Mapping[UnitType, UnitRules]] = {
    UnitType.CER: UnitRules(
        label=N_("CER"),
        name=N_("Certified emission reduction"),
        mechanism=Mechanism.CDM,
        note=N_(
            "A certified emission reduction of the Clean Development Mechanism: one tonne of CO2 "
            "equivalent that was not emitted."
        ),
        meaning=N_(
            "A certified emission reduction (CER) stands for one tonne of CO₂ equivalent reduced "
            "or removed by a project under the clean development mechanism of the Kyoto Protocol."
        ),
        may_say=(_FACTS,),
        never_say=(
            _OWN_FIGURE,
            N_("that nobody else counts the reduction: the host country may have"),
        ),
        counted=N_("perhaps"),
        lasting=N_("for good"),
        account=_CDM_ACCOUNT,
        periods=(1, 2),
        code=5,
        levies=(_CDM_LEVY,),
    ),
    UnitType.TCER: UnitRules(
        label=N_("tCER"),
        name=N_("Temporary certified emission reduction"),
        mechanism=Mechanism.CDM,
        note=N_(
            "A temporary unit from planted forests: one tonne of CO2 equivalent taken up by trees. "
            "It expires, because the carbon may return to the air."
        ),
        meaning=N_(
            "A temporary CER (tCER) comes from a forestry project under the clean development "
            "mechanism and was issued for a limited time: it expires at the end of the commitment "
            "period after the one in which it was issued, and the carbon in the trees may be "
            "released again. It must not be taken for a lasting reduction."
        ),
        may_say=(
            N_("that you supported a forest project by having its temporary units cancelled"),
            _FACTS,
        ),
        never_say=(_LASTING, _PARIS, _OWN_FIGURE),
        counted=N_("not towards Paris targets"),
        lasting=N_("until it expires"),
        account=_CDM_ACCOUNT,
        warning=N_(
            "These are temporary units from a forest. They expire, and the carbon in the trees "
            "may return to the air: their cancellation is no lasting reduction."
        ),
        lasts=False,
        periods=(1, 2),
        code=6,
        levies=(_CDM_LEVY,),
    ),
    UnitType.LCER: UnitRules(
        label=N_("lCER"),
        name=N_("Long-term certified emission reduction"),
        mechanism=Mechanism.CDM,
        note=N_(
            "A long-term unit from planted forests: one tonne of CO2 equivalent taken up by trees. "
            "It expires at the end of the project’s crediting period."
        ),
        meaning=N_(
            "A long-term CER (lCER) comes from a forestry project under the clean development "
            "mechanism and was issued for a limited time: it expires at the end of the project’s "
            "crediting period, and the carbon in the trees may be released again. It must not be "
            "taken for a lasting reduction."
        ),
        may_say=(
            N_("that you supported a forest project by having its long-term units cancelled"),
            _FACTS,
        ),
        never_say=(_LASTING, _PARIS, _OWN_FIGURE),
        counted=N_("not towards Paris targets"),
        lasting=N_("until it expires"),
        account=_CDM_ACCOUNT,
        warning=N_(
            "These are long-term units from a forest. They too expire, at the end of the "
            "project’s crediting period, and the carbon in the trees may return to the air: their "
            "cancellation is no lasting reduction."
        ),
        lasts=False,
        periods=(1, 2),
        code=7,
        levies=(_CDM_LEVY,),
    ),
    UnitType.A64ER_AUTHORISED: UnitRules(
        label=N_("A6.4ER, authorised"),
        name=N_("Authorised Article 6.4 emission reduction"),
        mechanism=Mechanism.ARTICLE_6_4,
        note=N_(
            "An Article 6.4 emission reduction that the host Party has authorised for use outside "
            "its own climate target; it adjusts its accounts so that nobody counts the tonne twice."
        ),
        meaning=N_(
            "An authorised A6.4ER stands for one tonne of CO₂ equivalent reduced or removed under "
            "Article 6.4 of the Paris Agreement. The host Party has authorised its use and adjusts "
            "its own emission balance by it (corresponding adjustment)."
        ),
        may_say=(
            _FACTS,
            N_("that the host country does not count these tonnes towards its own target"),
        ),
        never_say=(
            _OWN_FIGURE,
            N_("that they were authorised for a use which the authorisation does not name"),
        ),
        counted=N_("not counted"),
        lasting=N_("for good"),
        account=_A64_ACCOUNT,
        is_authorised=True,
        levies=_A64_LEVIES,
    ),
    UnitType.A64ER_CONTRIBUTION: UnitRules(
        label=N_("A6.4ER, mitigation contribution"),
        name=N_("Mitigation contribution Article 6.4 emission reduction"),
        mechanism=Mechanism.ARTICLE_6_4,
        note=N_(
            "An Article 6.4 emission reduction that stays with the host Party’s own climate "
            "target. Cancelling it supports that target; it does not make up for emissions "
            "elsewhere."
        ),
        meaning=N_(
            "A mitigation contribution A6.4ER stands for one tonne of CO₂ equivalent reduced or "
            "removed under Article 6.4 of the Paris Agreement. It contributes to lowering "
            "emissions in the host Party, which may count it towards its own target. It is not "
            "authorised for use towards anybody else’s target, and no corresponding adjustment is "
            "made for it."
        ),
        may_say=(
            N_("that you contributed to the mitigation efforts of the host country, and name it"),
            _FACTS,
        ),
        never_say=(
            N_("that they make up for emissions of yours, or of anybody else"),
            N_("that they count towards another country’s target: the host country counts them"),
            _OWN_FIGURE,
        ),
        counted=N_("counted"),
        lasting=N_("for good"),
        account=_A64_ACCOUNT,
        warning=N_(
            "These units are a contribution to the host country’s own efforts, and it counts them "
            "there. You can say that you contributed; you cannot set them against your own "
            "emissions."
        ),
        is_authorised=False,
        levies=_A64_LEVIES,
    ),
}

CDM_CODES: Final = frozenset(
    each.code for each in UNIT_RULES.values() if each.mechanism is Mechanism.CDM
)
"""What serial numbers of this mechanism's units say of their type. Others (1 AAU, 2 RMU, 3 and
4 ERU) are units of Annex I Parties."""


def period_fits(kind: UnitType, number: int | None, start: date, end: date) -> bool:
    """Whether a commitment period goes with the monitoring period of units.

    In the real registry 99.9 % of the blocks of the first and 99.6 % of the second do
    (domain-facts.md 1.1): one that does not is worth a look, and no more.
    """
    rules = UNIT_RULES[kind]
    if not rules.periods:
        return number is None
    period = PERIODS.get(number or 0)
    return period is not None and period.start <= start and end <= period.end
