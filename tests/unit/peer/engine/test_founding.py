"""A workspace is made with keys for all of the user's devices, and opened by none but them."""

from dataclasses import dataclass
from dataclasses import replace as replaced

import msgspec
import pytest

from crypto.identity import BoxKey
from crypto.keyring import WorkspaceKeyring
from peer.engine import founding
from peer.engine.founding import NotOurs
from protocol.ids import WorkspaceId
from protocol.messages import WorkspaceInfo
from protocol.model import Commit, Genesis, Role, SealedKey
from tests.common.journals import TestUser, make_device
from tests.common.link_server import SeededEntropy


@dataclass(frozen=True)
class Made:
    user: TestUser
    workspace: WorkspaceId
    commit: Commit
    keyring: WorkspaceKeyring

    @property
    def genesis(self) -> Genesis:
        assert isinstance(self.commit.body, Genesis)
        return self.commit.body

    def box(self, device: int) -> BoxKey:
        return self.user.devices[device].secret.box


@pytest.fixture
def made() -> Made:
    user = TestUser("ana")
    user.pair("phone")
    keys = user.devices[0].secret
    return Made(user, *founding.make_genesis("Docs", keys, user.links, user.chain, SeededEntropy(1), 0))


def info(made: Made, genesis: Commit | None = None, keys: tuple[SealedKey, ...] = ()) -> WorkspaceInfo:
    fields = {
        "workspace": made.workspace,
        "genesis": genesis or made.commit,
        "keys": keys,
        "role": Role.OWNER,
        "members": (),
    }
    given = {name: fields.get(name, 0) for name in WorkspaceInfo.__struct_fields__}
    return WorkspaceInfo(**given)  # type: ignore[arg-type]


def test_every_device_of_the_user_opens_it_and_reads_its_name(made: Made) -> None:
    genesis = founding.genesis_of(info(made))
    for device in (0, 1):
        keyring = founding.open_keys(info(made), genesis, [made.box(device)])
        assert keyring is not None
        assert keyring.pack() == made.keyring.pack()
        assert founding.open_name(keyring, genesis) == "Docs"


def test_a_stranger_does_not(made: Made) -> None:
    stranger = make_device("mallory").secret.box
    assert founding.open_keys(info(made), made.genesis, [stranger]) is None


def test_swapped_boxes_open_all_the_same_and_broken_ones_do_not(made: Made) -> None:
    one, two = made.genesis.keys[:2]
    swapped = (SealedKey(one.recipient, two.box), SealedKey(two.recipient, one.box))
    bare = msgspec.structs.replace(made.genesis, keys=())
    assert founding.open_keys(info(made, keys=swapped), bare, [made.box(0)]) is not None
    broken = tuple(SealedKey(each.recipient, each.box[:-1] + bytes([each.box[-1] ^ 1])) for each in (one, two))
    assert founding.open_keys(info(made, keys=broken), bare, [made.box(0)]) is None


def test_keys_of_another_workspace_are_not_taken(made: Made) -> None:
    user = made.user
    other = Made(
        user, *founding.make_genesis("Docs", user.devices[0].secret, user.links, user.chain, SeededEntropy(2), 0)
    )
    bare = msgspec.structs.replace(made.genesis, keys=())
    assert founding.open_keys(info(made, keys=other.genesis.keys), bare, [made.box(0)]) is None
    assert not founding.is_committed(other.keyring, made.genesis)
    with pytest.raises(NotOurs):
        founding.open_name(other.keyring, made.genesis)


def test_keys_that_the_genesis_does_not_commit_to_are_not_taken(made: Made) -> None:
    wrong = WorkspaceKeyring(made.genesis.salt, bytes(32), {1: bytes(32)})
    boxes = founding.seal_keys(wrong, made.user.chain, [made.box(0).public], SeededEntropy(3))
    bare = msgspec.structs.replace(made.genesis, keys=())
    assert founding.open_keys(info(made, keys=tuple(boxes)), bare, [made.box(0)]) is None


def test_another_genesis_than_the_one_its_id_names_is_refused(made: Made) -> None:
    body = msgspec.structs.replace(made.genesis, sealed_name=b"another")
    with pytest.raises(NotOurs):
        founding.genesis_of(info(made, genesis=msgspec.structs.replace(made.commit, body=body)))


def test_a_device_paired_while_its_code_was_open_finds_its_keys(made: Made) -> None:
    user = made.user
    pairing = user.admit("tablet")
    workspace, commit, keyring = founding.make_genesis(
        "Docs", user.devices[0].secret, user.links, user.chain, SeededEntropy(4), 0
    )
    later = replaced(made, workspace=workspace, commit=commit, keyring=keyring)
    assert founding.open_keys(info(later), later.genesis, [pairing.box]) is not None
