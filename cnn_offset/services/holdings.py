"""Mirroring what registries report of providers' accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from cnn_offset.models import Activity, Block, Provider
from cnn_offset.plugins.registries.base import BlockReport


def mirror_block(
    session: Session,
    report: BlockReport,
    *,
    registry_id: str,
    provider: Provider,
    activities: Mapping[str, Activity],
    now: datetime,
) -> Block | None:
    """Keep what a registry reports of one block; None if its activity is not mapped here.

    Safe to repeat: a block known by registry, account and its own reference is updated.
    """
    activity = activities.get(report.activity_ref)
    if activity is None:
        return None
    block = session.scalar(
        select(Block).where(
            Block.registry_id == registry_id,
            Block.account_ref == report.account_ref,
            Block.block_ref == report.block_ref,
        )
    )
    if block is None:
        block = Block(
            registry_id=registry_id,
            account_ref=report.account_ref,
            block_ref=report.block_ref,
            activity_id=activity.id,
            provider_id=provider.id,
        )
        session.add(block)
    block.unit_type = report.unit_type
    block.party = report.party
    block.series = report.issued.series
    block.first, block.last = report.issued.first, report.issued.last
    block.first_text, block.last_text = report.issued.first_text, report.issued.last_text
    block.held = report.held
    block.monitoring_start = report.monitoring_start
    block.monitoring_end = report.monitoring_end
    block.vintage = report.vintage
    block.commitment_period = report.commitment_period
    block.eligible = report.eligible
    block.read_at = now
    return block
