"""What a workspace's keyring holds, shows and packs."""

import pytest

from crypto.keyring import BadKeyring, WorkspaceKeyring

SALT, FIXED, FIRST, SECOND = b"s" * 16, b"f" * 32, b"1" * 32, b"2" * 32


def keyring() -> WorkspaceKeyring:
    return WorkspaceKeyring(SALT, FIXED, {1: FIRST, 2: SECOND})


def test_every_sub_key_of_every_epoch_differs() -> None:
    keys = keyring()
    subs = [keys.fixed.name, keys.fixed.chunk, keys.fixed.file, keys.fixed.link]
    for number in keys.epochs:
        epoch = keys.epoch(number)
        assert epoch is not None
        subs += [epoch.seal, epoch.siv, epoch.block, epoch.history, epoch.beacon]
    assert len(set(subs)) == len(subs) == 14


def test_the_fixed_keys_outlive_a_rotation() -> None:
    assert keyring().fixed == WorkspaceKeyring(SALT, FIXED, {3: b"3" * 32}).fixed


def test_what_is_packed_unpacks_to_the_same() -> None:
    again = WorkspaceKeyring.unpack(keyring().pack())
    assert again == keyring()
    assert again.newest.epoch == 2
    assert again.root(1) == FIRST
    assert again.root(9) is None
    assert again.epoch(9) is None


def test_nothing_but_a_packed_keyring_unpacks() -> None:
    packed = keyring().pack()
    wrong = [
        b"",
        packed[:-1],
        packed + b"\0",
        b"X" + packed[1:],
        packed[:4] + b"\x02" + packed[5:],
        packed[:53] + b"\0\0\0\0",
        packed[:57] + packed[93:] + packed[57:93],
        packed[:57] + packed[57:93] * 2,
    ]
    for case in wrong:
        with pytest.raises(BadKeyring):
            WorkspaceKeyring.unpack(case)


def test_a_repr_shows_no_secret() -> None:
    keys = keyring()
    for shown in (repr(keys), str(keys), repr(keys.newest), repr(keys.fixed)):
        for secret in (FIXED, FIRST, SECOND, keys.newest.seal, keys.fixed.name):
            assert secret.hex() not in shown
            assert repr(secret)[2:-1] not in shown


def test_an_epoch_is_added_once_and_never_replaced() -> None:
    more = keyring().with_epoch(3, b"3" * 32)
    assert more.epochs == (1, 2, 3)
    assert more.with_epoch(3, b"3" * 32) == more
    with pytest.raises(BadKeyring):
        more.with_epoch(3, b"4" * 32)


def test_a_commitment_fixes_epoch_key_fixed_key_and_workspace() -> None:
    made = keyring().commitment(1)
    others = [
        keyring().commitment(2),
        WorkspaceKeyring(SALT, FIXED, {1: SECOND}).commitment(1),
        WorkspaceKeyring(SALT, b"g" * 32, {1: FIRST}).commitment(1),
        WorkspaceKeyring(b"t" * 16, FIXED, {1: FIRST}).commitment(1),
    ]
    assert made not in others
    assert made == WorkspaceKeyring(SALT, FIXED, {1: FIRST}).commitment(1)


@pytest.mark.parametrize(
    ("salt", "fixed", "epochs"),
    [
        (b"s", FIXED, {1: FIRST}),
        (SALT, b"f", {1: FIRST}),
        (SALT, FIXED, {}),
        (SALT, FIXED, {0: FIRST}),
        (SALT, FIXED, {1 << 32: FIRST}),
        (SALT, FIXED, {1: b"short"}),
    ],
)
def test_keys_out_of_bounds_are_refused(salt: bytes, fixed: bytes, epochs: dict[int, bytes]) -> None:
    with pytest.raises(BadKeyring):
        WorkspaceKeyring(salt, fixed, epochs)
