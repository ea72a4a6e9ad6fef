"""Fixtures of the judge's tests."""

import pytest

from tests.common.journals import TestJournal, TestUser, entry_id
from tests.unit.protocol.rules.scene import Below, Scene


@pytest.fixture
def scene() -> Scene:
    ana = TestUser("ana")
    phone = ana.pair("phone")
    return Scene(TestJournal(ana), ana, ana.devices[0], phone)


@pytest.fixture
def below(scene: Scene) -> Below:
    journal = scene.journal
    journal.put(scene.laptop, journal.directory("dir"), journal.directory("sub", entry_id("dir")))
    journal.put(scene.laptop, journal.change("file", entry_id("sub")))
    return Below(journal, scene.ana, scene.laptop, scene.phone, journal.state.workspace.seq)
