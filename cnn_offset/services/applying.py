"""Applications to become a provider: handed in, talked about, decided (G1, H1).

Who may offer: the focal point for scope (a) of an activity's modalities of communication,
for units in the Board's pending account; or the representative of a permanent holding
account (FAQ, "Eligibility to offer CERs"; domain-facts.md 2).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from cnn_offset.domain.staff import StaffRole
from cnn_offset.domain.status import ApplicationStatus, IllegalMoveError
from cnn_offset.domain.text import N_, slug
from cnn_offset.models import (
    AccountKind,
    Activity,
    ApplicantRole,
    Application,
    ApplicationNote,
    Proof,
    Provider,
    Role,
    User,
)
from cnn_offset.services import NotFoundError, ServiceError, entitling, holdings
from cnn_offset.services.mailing import queue_message
from cnn_offset.services.moves import move, note

S = ApplicationStatus
OPEN: Final = (S.SUBMITTED, S.QUESTIONED)
PENDING_ACCOUNT: Final = "PENDING"
"""How the Board's pending account of a registry is called here: a registry has one."""
MOST_ACTIVITIES: Final = 50
MOST_PROOFS: Final = 20
"""Documents with one application, in all."""
_KINDS: Final = {
    ApplicantRole.FOCAL_POINT: AccountKind.PENDING,
    ApplicantRole.HOLDER: AccountKind.PERMANENT,
}
_DECIDED: Final = N_("This application has been decided already.")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an applicant says of the organisation and wants to offer; all of it cleaned."""

    organisation: str
    country: str
    address: str
    website: str
    role: ApplicantRole
    registry_id: str
    account_ref: str
    """Not looked at for a focal point, whose units lie in the pending account."""
    activities: Sequence[str]


@dataclass(frozen=True, slots=True)
class Stored:
    """A document that lies in the file store already."""

    path: str
    filename: str
    content_type: str
    size: int
    sha256: str


def read_activities(text: str) -> list[str]:
    """Read reference numbers of activities, separated by commas or white space.

    Raises:
        ServiceError: there is none, there are too many, or one can be no such number.

    """
    refs = list(dict.fromkeys(each.upper() for each in re.split(r"[\s,;]+", text) if each))
    if not refs:
        raise ServiceError(N_("Please enter at least one reference number."))
    if len(refs) > MOST_ACTIVITIES:
        raise ServiceError(
            N_("Please enter at most %(n)s reference numbers; more can follow later."),
            n=MOST_ACTIVITIES,
        )
    for ref in refs:
        if not re.fullmatch(r"(?=.*[0-9])[A-Z0-9][A-Z0-9./_-]{0,39}", ref):
            raise ServiceError(
                N_("“%(ref)s” is no reference number. An example: 90041."), ref=ref[:40]
            )
    return refs


def submit(
    session: Session,
    user: User,
    wish: Wish,
    proofs: Sequence[Stored],
    *,
    terms_version: str,
    locale: str,
    operators: str,
    now: datetime,
) -> Application:
    """Hand in an application; ``operators`` is the address they read.

    Safe to repeat: somebody has one open application, and a second one is the first.

    Raises:
        ServiceError: the person is a provider's or the platform's staff already.

    """
    if user.provider_id is not None or user.roles:
        raise ServiceError(N_("You are staff of a provider or of this platform already."))
    if found := open_application(session, user):
        return found
    pending = wish.role is ApplicantRole.FOCAL_POINT
    made = Application(
        user_id=user.id,
        status=S.SUBMITTED,
        organisation=wish.organisation,
        country=wish.country,
        address=wish.address,
        website=wish.website,
        role=wish.role,
        registry_id=wish.registry_id,
        account_ref=PENDING_ACCOUNT if pending else wish.account_ref,
        activities=list(wish.activities),
        locale=locale,
        terms_version=terms_version,
        submitted_at=now,
    )
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        # The same form was sent twice at the same moment.
        again = open_application(session, user)
        if again is None:
            raise
        return again
    _keep(session, made, proofs, now)
    note(session, made, old="", new=str(S.SUBMITTED), actor=user.email, why="asked for", now=now)
    _tell_operators(session, "application_submitted", made, operators, now)
    return made


def open_application(session: Session, user: User) -> Application | None:
    """Return the application of somebody that waits for a decision."""
    return session.scalar(
        select(Application).where(Application.user_id == user.id, Application.status.in_(OPEN))
    )


def last_application(session: Session, user: User) -> Application | None:
    """Return the newest application of somebody, with what belongs to it."""
    return session.scalar(
        select(Application)
        .where(Application.user_id == user.id)
        .options(selectinload(Application.notes), selectinload(Application.proofs))
        .order_by(Application.id.desc())
        .limit(1)
    )


def add_proofs(
    session: Session, application: Application, proofs: Sequence[Stored], *, now: datetime
) -> int:
    """Keep more documents with an application; return how many were new. Safe to repeat.

    Raises:
        ServiceError: it has been decided, or has too many documents.

    """
    _lock(session, application)
    _must_be_open(application)
    added = _keep(session, application, proofs, now)
    if added:
        note(
            session,
            application,
            old="",
            new="documents",
            actor=application.user.email,
            why=str(added),
            now=now,
        )
    return added


def answer(
    session: Session,
    application: Application,
    text: str,
    proofs: Sequence[Stored],
    *,
    operators: str,
    now: datetime,
) -> None:
    """Keep what the applicant says; the application waits for an operator again.

    Safe to repeat: the same words a second time are not kept.

    Raises:
        ServiceError: it has been decided already.

    """
    _lock(session, application)
    _must_be_open(application)
    _keep(session, application, proofs, now)
    actor = application.user.email
    said = _say(session, application, text, by_operator=False, actor=actor, now=now)
    move(session, application, S.SUBMITTED, actor=actor, why="answered", now=now)
    _tell_operators(session, "application_answered", application, operators, now, said)


def withdraw(session: Session, application: Application, *, now: datetime) -> None:
    """End an application at its applicant's wish. Safe to repeat.

    Raises:
        ServiceError: it has been decided already.

    """
    _lock(session, application)
    _decide(session, application, S.WITHDRAWN, actor=application.user.email, now=now)


def ask(
    session: Session, application: Application, text: str, *, actor: str, now: datetime
) -> None:
    """Ask the applicant something; it is mailed. Safe to repeat.

    Raises:
        ServiceError: it has been decided already.

    """
    _lock(session, application)
    _must_be_open(application)
    said = _say(session, application, text, by_operator=True, actor=actor, now=now)
    move(session, application, S.QUESTIONED, actor=actor, why="asked", now=now)
    _tell_applicant(session, "application_question", application, now, said)


def refuse(
    session: Session, application: Application, reason: str, *, actor: str, now: datetime
) -> None:
    """Refuse an application, saying why. Safe to repeat.

    Raises:
        ServiceError: it has been decided otherwise already.

    """
    _lock(session, application)
    if _decide(session, application, S.REFUSED, actor=actor, now=now):
        said = _say(session, application, reason, by_operator=True, actor=actor, now=now)
        _tell_applicant(session, "application_refused", application, now, said)


def approve(
    session: Session,
    application: Application,
    activity_ids: Collection[int],
    *,
    actor: str,
    now: datetime,
) -> Provider:
    """Make a provider of an application, its applicant the first owner.

    The account is opened here, which has it read from the registry at once. That the
    activities chosen are mapped to it is proposed, for a second operator to approve. Safe to repeat, also by two operators at once.

    Args:
        session: a writing transaction.
        application: the one to approve.
        activity_ids: which of the activities asked for are to be mapped; others are not
            looked at.
        actor: the operator's address.
        now: the moment.

    Raises:
        ServiceError: it was refused or withdrawn, its applicant is staff somewhere now, or
            account or activity belong to another provider.

    """
    _lock(session, application)
    if application.status is S.APPROVED and application.provider is not None:
        return application.provider
    _must_be_open(application)
    # Somebody may have joined a provider's staff since.
    user = session.get_one(
        User, application.user_id, with_for_update={"of": User}, populate_existing=True
    )
    if user.provider_id is not None or user.roles:
        raise ServiceError(N_("The applicant is staff of a provider or of this platform already."))
    provider = _new_provider(session, application, user, now)
    user.roles.append(_role(session))
    user.provider_id, user.staff_role = provider.id, StaffRole.OWNER
    note(session, user, old="", new="owner", actor=actor, why="application approved", now=now)
    account = holdings.open_account(
        session,
        provider,
        registry_id=application.registry_id,
        account_ref=application.account_ref,
        kind=_KINDS[application.role],
        now=now,
    )
    chosen = [each for each in asked_for(session, application).values() if each.id in activity_ids]
    if chosen:
        entitling.propose(
            session,
            account,
            chosen,
            entitling.Entitlement.MAP,
            reason=f"application {application.id}",
            actor=actor,
            now=now,
        )
    application.provider = provider
    _decide(session, application, S.APPROVED, actor=actor, now=now)
    _tell_applicant(session, "application_approved", application, now)
    return provider


def asked_for(session: Session, application: Application) -> dict[str, Activity]:
    """Return the activities asked for that are registered here, by reference number."""
    found = session.scalars(
        select(Activity)
        .where(
            Activity.registry_id == application.registry_id,
            func.upper(Activity.ref).in_(application.activities),
        )
        .order_by(Activity.id)
    )
    return {each.ref.upper(): each for each in found}


def listed(
    session: Session, status: S | None, *, before: int | None, limit: int
) -> Sequence[Application]:
    """Return applications, newest first; ``before`` is the id that a page goes on from."""
    wanted = select(Application).options(selectinload(Application.user))
    if status is not None:
        wanted = wanted.where(Application.status == status)
    if before is not None:
        wanted = wanted.where(Application.id < before)
    return session.scalars(wanted.order_by(Application.id.desc()).limit(limit)).all()


def find(session: Session, application_id: int) -> Application:
    """Return an application with what belongs to it.

    Raises:
        NotFoundError: there is none of this number.

    """
    found = session.scalar(
        select(Application)
        .where(Application.id == application_id)
        .options(
            selectinload(Application.notes),
            selectinload(Application.proofs),
            selectinload(Application.user),
            selectinload(Application.provider),
        )
    )
    if found is None:
        raise NotFoundError(f"application {application_id}")
    return found


def find_proof(session: Session, proof_id: int, *, user_id: int | None = None) -> Proof:
    """Return a document; with ``user_id`` only if that is its applicant.

    Raises:
        NotFoundError: there is none, or it is somebody else's.

    """
    wanted = select(Proof).join(Proof.application).where(Proof.id == proof_id)
    if user_id is not None:
        wanted = wanted.where(Application.user_id == user_id)
    found = session.scalar(wanted)
    if found is None:
        raise NotFoundError(f"proof {proof_id}")
    return found


def _lock(session: Session, application: Application) -> None:
    """Let nobody else decide on the application until the commit; read it again."""
    session.flush()
    session.get_one(
        Application,
        application.id,
        with_for_update={"of": Application},
        populate_existing=True,
    )
    # What another has just said or handed in counts too.
    session.expire(application, ["notes", "proofs"])


def _must_be_open(application: Application) -> None:
    if application.status not in OPEN:
        raise ServiceError(_DECIDED)


def _decide(
    session: Session, application: Application, status: S, *, actor: str, now: datetime
) -> bool:
    try:
        done = move(session, application, status, actor=actor, why="decided", now=now)
    except IllegalMoveError as error:
        raise ServiceError(_DECIDED) from error
    if done:
        application.decided_at, application.decided_by = now, actor[:120]
    return done


def _keep(
    session: Session, application: Application, proofs: Sequence[Stored], now: datetime
) -> int:
    known = {each.sha256 for each in application.proofs}
    fresh = {each.sha256: each for each in proofs if each.sha256 not in known}
    if len(known) + len(fresh) > MOST_PROOFS:
        raise ServiceError(
            N_("There are at most %(n)s documents with an application."), n=MOST_PROOFS
        )
    for each in fresh.values():
        application.proofs.append(
            Proof(
                path=each.path,
                filename=each.filename,
                content_type=each.content_type,
                size=each.size,
                sha256=each.sha256,
                uploaded_at=now,
            )
        )
    return len(fresh)


def _say(
    session: Session,
    application: Application,
    text: str,
    *,
    by_operator: bool,
    actor: str,
    now: datetime,
) -> int:
    """Keep some words; return their id. The last ones said are not said again."""
    last = application.notes[-1] if application.notes else None
    if last is not None and (last.text, last.actor) == (text, actor):
        return last.id
    said = ApplicationNote(text=text, by_operator=by_operator, actor=actor, at=now)
    application.notes.append(said)
    session.flush()
    return said.id


def _role(session: Session) -> Role:
    found = session.scalar(select(Role).where(Role.name == "provider"))
    if found is not None:
        return found
    try:
        with session.begin_nested():
            session.add(made := Role(name="provider"))
    except IntegrityError:
        return session.scalars(select(Role).where(Role.name == "provider")).one()
    return made


def _new_provider(
    session: Session, application: Application, user: User, now: datetime
) -> Provider:
    stem = slug(application.organisation)
    taken = set(session.scalars(select(Provider.slug).where(Provider.slug.startswith(stem))))
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        number += 1
        if name in taken:
            continue
        made = Provider(
            slug=name,
            name=application.organisation,
            country=application.country,
            email=user.email,
            locale=application.locale,
            website=application.website,
            address=application.address,
            created_at=now,
        )
        try:
            with session.begin_nested():
                session.add(made)
        except IntegrityError:
            # Another of the same name is approved at this moment.
            continue
        note(session, made, old="", new="opened", actor=user.email, why="approved", now=now)
        return made


def _tell_operators(
    session: Session,
    kind: str,
    application: Application,
    recipient: str,
    now: datetime,
    note_id: int = 0,
) -> None:
    queue_message(
        session,
        kind,
        recipient=recipient,
        locale="en",
        now=now,
        dedup=f"{kind}:{application.id}:{note_id}",
        params={"application_id": application.id},
    )


def _tell_applicant(
    session: Session, kind: str, application: Application, now: datetime, note_id: int = 0
) -> None:
    queue_message(
        session,
        kind,
        recipient=application.user.email,
        locale=application.locale,
        now=now,
        dedup=f"{kind}:{application.id}:{note_id}",
        params={"application_id": application.id, "note_id": note_id},
    )
