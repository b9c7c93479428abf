"""Loading the demo: providers, activities, pictures, blocks, offers and staff accounts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import requests
from fsspec import AbstractFileSystem
from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.demo import TOTP_SECRET
from cnn_offset.demo.earlier import REGISTRY, add_earlier
from cnn_offset.demo.pictures import draw
from cnn_offset.demo.reading import Demo, DemoActivity, DemoBlock, DemoProvider, read_demo
from cnn_offset.domain.status import PayoutStatus
from cnn_offset.extensions import Platform
from cnn_offset.models import (
    Activity,
    Block,
    FormerRef,
    Offer,
    PayoutMethod,
    Provider,
    RegistryAccount,
    User,
)
from cnn_offset.services import Begin
from cnn_offset.services.holdings import map_activity, open_account, read_account
from cnn_offset.services.terms import keep_terms

OPERATORS: Final = ("operator@demo.example", "second.operator@demo.example")
"""Two, for what two persons decide."""
_PASSWORD: Final = "calm-river-lantern-42"  # noqa: S105 - printed by `demo accounts`; demo only
_TIMEOUT: Final = 20


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What the shop now shows of the demo, and how much of it is new."""

    providers: int
    activities: int
    blocks: int
    offers: int
    new_offers: int

    def __str__(self) -> str:
        return (
            f"Demo: {self.providers} providers, {self.activities} projects, {self.blocks} blocks, "
            f"{self.offers} offers ({self.new_offers} new)."
        )


def load_demo(begin: Begin, platform: Platform) -> DemoSummary:
    """Bring in what of the demo is missing; what is there keeps its state.

    Blocks are issued in the sandbox's registries over HTTP and read back through the
    connectors, as a real registry's would be. Only registries that the configuration
    names take part. Safe to repeat, also after a crash half-way.

    Raises:
        RuntimeError: the configuration has no sandbox.
        requests.RequestException: the sandbox does not answer, or refuses.
        PluginError: a connector got no clear answer.

    """
    sandbox = platform.settings.SANDBOX_URL.rstrip("/")
    if not sandbox:
        raise RuntimeError("SANDBOX_URL: the demo needs the sandbox's registries")
    with begin() as session:
        # What a cut-over has moved lives on elsewhere.
        moved = set(session.scalars(select(FormerRef.registry_id).distinct()))
    running = [each for each in platform.registries if each not in moved]
    demo = _served(read_demo(), running)
    now = platform.clock()
    _store_pictures(platform.files, demo.activities)
    _issue_blocks(sandbox, demo)
    with begin() as session:
        providers = {each.slug: _provider(session, each, now) for each in demo.providers}
        activities = {
            (each.registry, each.ref): _activity(session, each, sandbox, now)
            for each in demo.activities
        }
        session.flush()
        accounts = _open_accounts(session, demo, providers, activities, now)
    for account_id in accounts:
        read_account(begin, account_id, connectors=platform.registries, clock=platform.clock)
    with begin() as session:
        new = _make_offers(session, demo, now)
        if REGISTRY in platform.registries:
            add_earlier(session, now=now)
    _add_staff(begin, demo.providers, now)
    blocks, offers = len(list(_all_blocks(demo))), len(list(_offered(demo)))
    return DemoSummary(len(providers), len(activities), blocks, offers, new)


def accounts(sandbox: str = "") -> list[str]:
    """Tell who can sign in to the demo, the password and the second factor of all."""
    people = [f"{email}  operator" for email in OPERATORS]
    people += [f"{each.staff_email}  provider {each.name}" for each in read_demo().providers]
    return [
        *people,
        f"Password of all: {_password()}",
        f"Second factor of all: an authenticator app with the key {TOTP_SECRET}",
        f"  as on {sandbox.rstrip('/')}/authenticator?secret={TOTP_SECRET}",
    ]


def _password() -> str:
    # Not CNN_OFFSET_...: those are the application's own settings.
    return os.environ.get("DEMO_PASSWORD") or _PASSWORD


def _served(demo: Demo, registries: Collection[str]) -> Demo:
    served = [each for each in demo.activities if each.registry in registries]
    return Demo(providers=demo.providers, activities=served)


def _store_pictures(files: AbstractFileSystem, activities: Sequence[DemoActivity]) -> None:
    files.makedirs("pictures", exist_ok=True)
    for each in activities:
        files.pipe_file(picture_path(each), draw(each.motif or each.technology, each.slug).encode())


def picture_path(activity: DemoActivity) -> str:
    """Return where in the file store an activity's picture lies."""
    return f"pictures/{activity.slug}.svg"


# The registries


def _all_blocks(demo: Demo) -> Iterator[tuple[DemoActivity, str, DemoBlock]]:
    for activity in demo.activities:
        for index, block in enumerate(activity.blocks):
            yield activity, activity.block_ref(index), block


def _offered(demo: Demo) -> Iterator[tuple[DemoActivity, str, DemoBlock]]:
    return (each for each in _all_blocks(demo) if each[2].price is not None)


def _issue_blocks(sandbox: str, demo: Demo) -> None:
    providers = {each.slug: each for each in demo.providers}
    wanted: dict[str, list[dict[str, Any]]] = {}
    for activity, block_ref, block in _all_blocks(demo):
        wanted.setdefault(activity.registry, []).append(
            {
                "block_ref": block_ref,
                "account": providers[block.provider].accounts[activity.registry],
                "account_kind": providers[block.provider].kind(activity.registry),
                "activity": activity.ref,
                "unit_type": block.unit.value,
                "party": activity.host_party,
                "first": block.first,
                "quantity": block.quantity,
                "monitoring_start": block.monitoring_start.isoformat(),
                "monitoring_end": block.monitoring_end.isoformat(),
                "share_of_proceeds": block.share_of_proceeds,
                "expires_on": block.expires and block.expires.isoformat(),
                "taken": block.taken,
            }
        )
    for registry, blocks in wanted.items():
        url = f"{_registry(sandbox + '/control', registry)}/blocks"
        requests.post(url, json=blocks, timeout=_TIMEOUT).raise_for_status()


def _registry(address: str, registry: str) -> str:
    return f"{address}/registries/{registry.replace('_', '-')}"


# The rows


def _open_accounts(
    session: Session,
    demo: Demo,
    providers: Mapping[str, Provider],
    activities: Mapping[tuple[str, str], Activity],
    now: datetime,
) -> list[int]:
    """Map every provider to the projects of its blocks; return the ids of the accounts."""
    said = {each.slug: each for each in demo.providers}
    held = {(each.registry, block.provider, each.ref) for each, _, block in _all_blocks(demo)}
    opened: dict[tuple[str, str], RegistryAccount] = {}
    for registry, slug, ref in sorted(held):
        if (registry, slug) not in opened:
            opened[registry, slug] = open_account(
                session,
                providers[slug],
                registry_id=registry,
                account_ref=said[slug].accounts[registry],
                kind=said[slug].kind(registry),
                now=now,
            )
        map_activity(
            session, opened[registry, slug], activities[registry, ref], actor="demo", now=now
        )
    return [each.id for each in opened.values()]


def _provider(session: Session, wanted: DemoProvider, now: datetime) -> Provider:
    found = session.scalar(select(Provider).where(Provider.slug == wanted.slug))
    if found is None:
        found = Provider(slug=wanted.slug, created_at=now)
        session.add(found)
        found.name, found.country = wanted.name, wanted.country
        found.email, found.website = wanted.email, wanted.website
        found.address, found.tax_id = wanted.address, wanted.tax_id
        found.locale = wanted.locale
    known = {each.method_id for each in found.payout_methods}
    found.payout_methods.extend(
        PayoutMethod(
            method_id=payout.method,
            account=dict(payout.account),
            status=PayoutStatus.READY,
            # The sandbox is asked at once whether it agrees.
            due_at=now,
            currencies=list(payout.currencies),
            minimum_minor=payout.minimum.minor if payout.minimum else 0,
        )
        for payout in wanted.payout
        if payout.method not in known
    )
    return found


def _activity(session: Session, wanted: DemoActivity, sandbox: str, now: datetime) -> Activity:
    found = session.scalar(
        select(Activity).where(Activity.registry_id == wanted.registry, Activity.ref == wanted.ref)
    )
    if found is None:
        found = Activity(
            slug=wanted.slug,
            registry_id=wanted.registry,
            ref=wanted.ref,
            kind=wanted.kind,
            title=wanted.title.model_dump(),
            description=wanted.description.model_dump(),
            labels=wanted.labels.model_dump() if wanted.labels.en else {},
            picture=picture_path(wanted),
            picture_alt=wanted.picture_alt.model_dump(),
            host_party=wanted.host_party,
            region=wanted.region,
            scope=wanted.scope,
            technology=wanted.technology,
            methodology=wanted.methodology,
            crediting_start=wanted.crediting[0],
            crediting_end=wanted.crediting[1],
            # The registry's public book, as the real ones have a page for each activity.
            registry_url=f"{_registry(sandbox, wanted.registry)}/",
            created_at=now,
            changed_at=now,
        )
        session.add(found)
    return found


def _make_offers(session: Session, demo: Demo, now: datetime) -> int:
    known = set(session.scalars(select(Offer.block_id)))
    blocks = {(each.registry_id, each.block_ref): each for each in session.scalars(select(Block))}
    made = 0
    for activity, block_ref, wanted in _offered(demo):
        block = blocks[activity.registry, block_ref]
        # Units may have left the block since; an offer never promises more than is held.
        quantity = min(wanted.offer, block.held)
        if wanted.price is None or block.id in known or not quantity:
            continue
        offer = Offer(
            block_id=block.id,
            provider_id=block.provider_id,
            price_minor=wanted.price.minor,
            currency=wanted.price.currency,
            quantity=quantity,
            min_quantity=wanted.min,
            created_at=now,
            changed_at=now,
        )
        session.add(offer)
        session.flush()
        keep_terms(session, offer, actor="demo", why="", now=now)
        made += 1
    return made


def _add_staff(begin: Begin, providers: Sequence[DemoProvider], now: datetime) -> None:
    """Add two operators, and an owner for each provider, all with a known second factor."""
    from cnn_offset.accounts import add_user
    from cnn_offset.second_factor import new_secret
    from cnn_offset.services.factors import APP

    wanted: list[tuple[str, str, str | None]] = [(email, "operator", None) for email in OPERATORS]
    wanted += [(each.staff_email, "provider", each.slug) for each in providers]
    with begin() as session:
        known = set(session.scalars(select(User.email)))
        for email, role, slug in wanted:
            if email in known:
                continue
            user = add_user(
                session, email=email, password=_password(), role=role, provider_slug=slug, now=now
            )
            if role != "purchaser":
                user.tf_primary_method, user.tf_totp_secret = APP, new_secret(TOTP_SECRET)
