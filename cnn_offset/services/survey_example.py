"""A survey to begin from: what people would buy when A6.4ERs are on offer (H7)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cnn_offset.domain.survey import Question, QuestionKind
from cnn_offset.services.surveying import SurveyTexts

SLUG: Final = "demand-for-a64er"


def _in(en: str, fr: str, es: str) -> dict[str, str]:
    return {"en": en, "fr": fr, "es": es}


def texts(now: datetime, number: int) -> SurveyTexts:
    """Return its texts, for a month from tomorrow. ``number`` tells it from earlier ones."""
    starts_at = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return SurveyTexts(
        slug=SLUG if number == 1 else f"{SLUG}-{number}",
        title=_in(
            "Your need for A6.4ERs",
            "Vos besoins en A6.4ER",
            "Su necesidad de A6.4ER",
        ),
        intro=_in(
            "Units of the Paris Agreement’s crediting mechanism are coming. Six short questions "
            "help us to offer what people and organisations need.",
            "Les unités du mécanisme de l’Accord de Paris arrivent. Six questions brèves nous "
            "aident à proposer ce dont particuliers et organisations ont besoin.",
            "Llegan las unidades del mecanismo del Acuerdo de París. Seis preguntas breves nos "
            "ayudan a ofrecer lo que personas y organizaciones necesitan.",
        ),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(days=30),
    )


QUESTIONS: Final[Sequence[Question]] = (
    Question(
        QuestionKind.ONE,
        _in(
            "For whom would you have units cancelled?",
            "Pour qui feriez-vous annuler des unités ?",
            "¿Para quién haría cancelar unidades?",
        ),
        (
            _in("For myself", "Pour moi-même", "Para mí"),
            _in("For a company", "Pour une entreprise", "Para una empresa"),
            _in("For a public body", "Pour un organisme public", "Para un organismo público"),
            _in("For an event", "Pour une manifestation", "Para un evento"),
            _in("For somebody else", "Pour quelqu’un d’autre", "Para otra persona o entidad"),
        ),
        required=True,
    ),
    Question(
        QuestionKind.NUMBER,
        _in(
            "About how many tonnes a year?",
            "Environ combien de tonnes par an ?",
            "¿Cuántas toneladas al año, aproximadamente?",
        ),
    ),
    Question(
        QuestionKind.ONE,
        _in(
            "Which kind of A6.4ERs do you need?",
            "De quel type d’A6.4ER avez-vous besoin ?",
            "¿Qué tipo de A6.4ER necesita?",
        ),
        (
            _in(
                "Authorised by the host country",
                "Autorisées par le pays hôte",
                "Autorizadas por el país anfitrión",
            ),
            _in(
                "Mitigation contribution",
                "Contribution à l’atténuation",
                "Contribución a la mitigación",
            ),
            _in("Either", "L’un ou l’autre", "Cualquiera de los dos"),
            _in("I do not know yet", "Je ne sais pas encore", "Aún no lo sé"),
        ),
        required=True,
    ),
    Question(
        QuestionKind.ONE,
        _in(
            "How much would you pay for a tonne, in US dollars?",
            "Combien paieriez-vous la tonne, en dollars des États-Unis ?",
            "¿Cuánto pagaría por tonelada, en dólares de los Estados Unidos?",
        ),
        (
            _in("Up to 5", "Jusqu’à 5", "Hasta 5"),
            _in("5 to 10", "De 5 à 10", "De 5 a 10"),
            _in("10 to 25", "De 10 à 25", "De 10 a 25"),
            _in("25 to 50", "De 25 à 50", "De 25 a 50"),
            _in("More than 50", "Plus de 50", "Más de 50"),
        ),
    ),
    Question(
        QuestionKind.TEXT,
        _in(
            "In which country are you?",
            "Dans quel pays vous trouvez-vous ?",
            "¿En qué país se encuentra?",
        ),
    ),
    Question(
        QuestionKind.SEVERAL,
        _in(
            "How would you like to buy?",
            "Comment aimeriez-vous acheter ?",
            "¿Cómo le gustaría comprar?",
        ),
        (
            _in("On this site", "Sur ce site", "En este sitio"),
            _in("From a provider directly", "Directement à un fournisseur", "Directamente a un proveedor"),
            _in("Through a broker or an exchange", "Par un courtier ou une bourse", "A través de un intermediario o una bolsa"),
            _in("From my own software (API)", "Depuis mon propre logiciel (API)", "Desde mi propio programa (API)"),
        ),
    ),
)  # fmt: skip
