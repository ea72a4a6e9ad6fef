"""Codes that people copy."""

import string

import pytest

from crypto.invitation import (
    BadCode,
    Code,
    CodeKind,
    InvitationKeys,
    decode_code,
    encode_code,
)

CODE = Code(CodeKind.JOIN, bytes(range(16)), b"i" * 16, ("192.168.1.20:7440", "https://Shoal.example:8443"))
WORD = encode_code(CODE)


@pytest.mark.parametrize("kind", CodeKind)
@pytest.mark.parametrize("addresses", [(), ("a:1",), ("[fe80::1]:7440",) * 8, ("x" * 255,) * 4])
def test_a_code_is_read_back_as_it_was_made(kind: CodeKind, addresses: tuple[str, ...]) -> None:
    code = Code(kind, b"s" * 16, b"i" * 16, addresses)
    word = encode_code(code)
    assert decode_code(word) == code
    assert word.startswith(f"shoal-{kind.value}-")


def test_a_code_is_one_word_of_lower_case_letters_digits_and_dashes() -> None:
    assert set(WORD) <= set(string.ascii_lowercase + string.digits + "-")


def test_case_and_spaces_around_do_not_matter() -> None:
    assert decode_code(f"  {WORD.upper()}\n") == CODE


def test_digits_mistaken_for_letters_are_understood() -> None:
    start = len("shoal-join-")
    mistaken = WORD[start:].replace("o", "0").replace("l", "1").replace("b", "8")
    assert decode_code(WORD[:start] + mistaken) == CODE


def test_every_single_wrong_character_is_noticed() -> None:
    same = {"0": "o", "1": "l", "8": "b"}
    for at, right in enumerate(WORD):
        for wrong in string.ascii_lowercase + string.digits + "-_ é":
            spoilt = WORD[:at] + wrong + WORD[at + 1 :]
            if same.get(wrong, wrong) == right or spoilt.strip() == WORD:
                continue
            with pytest.raises(BadCode):
                decode_code(spoilt)


def test_a_missing_or_doubled_or_swapped_character_is_noticed() -> None:
    for at in range(len(WORD)):
        for spoilt in (
            WORD[:at],
            WORD[:at] + WORD[at + 1 :],
            WORD[:at] + WORD[at] + WORD[at:],
            WORD[:at] + WORD[at : at + 2][::-1] + WORD[at + 2 :],
        ):
            if spoilt == WORD:
                continue
            with pytest.raises(BadCode):
                decode_code(spoilt)


def test_a_code_for_one_thing_is_none_for_another() -> None:
    with pytest.raises(BadCode):
        decode_code(WORD.replace("join", "pair"))


@pytest.mark.parametrize("text", ["", "shoal", "shoal-join-", "shoal-join-a", "join", "é" * 50, "a" * 1_000_000])
def test_what_is_no_code_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(BadCode) as caught:
        decode_code(text)
    assert caught.value.reason


@pytest.mark.parametrize(
    "code",
    [
        Code(CodeKind.JOIN, b"short", b"i" * 16, ()),
        Code(CodeKind.JOIN, b"s" * 16, b"short", ()),
        Code(CodeKind.JOIN, b"s" * 16, b"i" * 16, ("a",) * 9),
        Code(CodeKind.JOIN, b"s" * 16, b"i" * 16, ("",)),
        Code(CodeKind.JOIN, b"s" * 16, b"i" * 16, ("x" * 256,)),
        Code(CodeKind.JOIN, b"s" * 16, b"i" * 16, ("x" * 255,) * 8),
        Code(CodeKind.JOIN, b"s" * 16, b"i" * 16, ("two words",)),
        Code(CodeKind.JOIN, b"s" * 16, b"i" * 16, ("höst:1",)),
    ],
)
def test_parts_that_no_code_can_carry_are_refused(code: Code) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any reason will do
        encode_code(code)


def test_the_secret_is_not_shown() -> None:
    assert repr(CODE.secret) not in repr(CODE)
    assert repr(InvitationKeys.of(CODE.secret).bundle) not in repr(InvitationKeys.of(CODE.secret))


def test_a_secret_gives_unlike_keys_and_a_public_id() -> None:
    keys = InvitationKeys.of(CODE.secret)
    assert keys == InvitationKeys.of(CODE.secret)
    assert len(keys.lookup_id) == 16
    assert len({keys.sign.seed, keys.box.secret, keys.bundle}) == 3
    assert keys.lookup_id != InvitationKeys.of(b"t" * 16).lookup_id
    with pytest.raises(ValueError, match="16 bytes"):
        InvitationKeys.of(b"short")
