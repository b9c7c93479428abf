"""The contract of a connector whose registry succeeds another one.

    class TestSuccession(BaseSuccessionContract):
        @pytest.fixture
        def succession(self):
            with my_registrys_sandbox() as sandbox:
                yield MySuccession(sandbox)      # a Succession

Beside :class:`~cnn_offset.testing.registries.BaseConnectorContract`; a connector whose
registry succeeds none need not pass it.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import pytest

from cnn_offset.domain.units import first_overlap, total
from cnn_offset.plugins.errors import OutcomeUnknownError, RefusedError
from cnn_offset.plugins.registries.base import BlockReport
from cnn_offset.testing.registries_world import Misdeed, RegistryWorld

BLOCKS = 7
"""How many blocks the contract lists; the world's pages must be shorter."""


class Succession(abc.ABC):
    """The world of the new registry, and the books of the one before it."""

    world: RegistryWorld
    account: str
    """An account of the registry before."""

    @abc.abstractmethod
    def before(self, quantity: int, *, gone: Sequence[tuple[int, int]] = ()) -> str:
        """Issue a block in the registry before and return its name; ``gone`` as in ``seed``."""

    @abc.abstractmethod
    def succeed(self) -> None:
        """Pass all units of the registry before into the new one."""


class BaseSuccessionContract:
    """The cross-reference by which a cut-over matches blocks (F3)."""

    def test_lists_every_successor_once(self, succession: Succession) -> None:
        """Pages are followed to the end, and each block says where its units were."""
        sizes = {succession.before(10 + number): 10 + number for number in range(BLOCKS)}
        succession.succeed()
        listed = _listed(succession)
        found = {origin.block_ref: each for each in listed for origin in each.origins}
        assert {ref: each.issued.quantity for ref, each in found.items()} == sizes
        assert first_overlap([each.issued for each in listed]) is None

    def test_origins_are_as_many_as_units(self, succession: Succession) -> None:
        """What had left before has no successor; the numbers of what is left are told."""
        succession.before(100, gone=[(10, 5), (50, 1)])
        succession.succeed()
        [block] = _listed(succession)
        assert block.issued.quantity == block.held == 94
        assert total(each.units for each in block.origins) == 94
        assert [each.units.quantity for each in block.origins] == [10, 35, 49]
        assert first_overlap([each.units for each in block.origins]) is None

    def test_lies_where_it_says(self, succession: Succession) -> None:
        """The account that a successor names lists the same block."""
        succession.before(10)
        succession.succeed()
        [block] = _listed(succession)
        [same] = succession.world.connector.list_blocks(block.account_ref)
        assert (same.block_ref, same.issued, same.held) == (
            block.block_ref,
            block.issued,
            block.held,
        )

    def test_an_account_from_which_nothing_came(self, succession: Succession) -> None:
        """Nothing known is refused; it does not read as an account that was empty."""
        with pytest.raises(RefusedError):
            list(succession.world.connector.list_successors("no-such-account"))

    def test_failed_listing_is_an_error(self, succession: Succession) -> None:
        """An error or nonsense never reads as nothing having come."""
        succession.before(5)
        succession.succeed()
        for misdeed in (Misdeed.ERROR_BEFORE, Misdeed.NONSENSE, Misdeed.SILENT_BEFORE):
            succession.world.prepare(misdeed)
            with pytest.raises(OutcomeUnknownError):
                _listed(succession)


def _listed(succession: Succession) -> list[BlockReport]:
    return list(succession.world.connector.list_successors(succession.account))
