"""A world and its owner, as most tests of the API want them."""

import pytest

from tests.support import Person, Server


@pytest.fixture
async def owner(server: Server) -> Person:
    return await server.person()


@pytest.fixture
async def world(server: Server, owner: Person) -> str:
    """The address of a world."""
    return f"/api/v1/worlds/{await server.world(owner)}"
