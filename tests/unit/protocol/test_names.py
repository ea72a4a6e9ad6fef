"""Names: which are allowed, and the names made for copies."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.names import (
    conflict_name,
    conflicted_from,
    device_name_problem,
    name_problem,
    nfc,
    numbered_device_name,
    restored_name,
    split_extension,
    twin_name,
    user_name_problem,
    utc_date,
)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "notes.txt",
        " leading",
        "trailing ",
        "trailing.",
        "...",
        "aux",
        "a:b",
        "a\\b",
        "-rf",
        "ä",
        "日本",
        "x" * 255,
    ],
)
def test_a_name_that_a_linux_disk_can_hold_is_allowed(name: str) -> None:
    assert name_problem(name, at_root=True) is None


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/", "a\0", "a\nb", "\x7f", "\x85", "a\u0308", "\ud800", "x" * 256, "ä" * 128, "\u212b"],
    ids=ascii,
)
def test_a_name_that_is_a_path_or_hides_something_is_not_allowed(name: str) -> None:
    assert name_problem(name, at_root=False) is not None


def test_shoals_own_directory_is_reserved_in_the_root_and_only_there() -> None:
    assert name_problem(".shoal", at_root=True) is not None
    assert name_problem(".shoal", at_root=False) is None
    assert name_problem(".shoalignore", at_root=True) is None


def test_two_spellings_of_one_name_are_one_name() -> None:
    assert nfc("a\u0308") == nfc("ä") == "ä"
    assert nfc("Ä") != nfc("ä")


@pytest.mark.parametrize("name", ["laptop", "Ana's".replace("'", ""), "a-b_c 2", "büro", "x" * 40])
def test_device_names_are_letters_digits_spaces_dashes_and_underscores(name: str) -> None:
    assert device_name_problem(name) is None


@pytest.mark.parametrize("name", ["", " a", "a ", "a.b", "a/b", "a'b", "x" * 41, "a\t", "u\u0308"], ids=ascii)
def test_other_device_names_are_refused(name: str) -> None:
    assert device_name_problem(name) is not None


def test_user_names_may_look_like_addresses() -> None:
    assert user_name_problem("ana.o'neil+home@example.org") is None
    for name in ("", "a/b", "a\n", "x" * 65, " a"):
        assert user_name_problem(name) is not None


def test_the_name_that_a_conflicted_copy_gave_way_to_is_read_from_its_own() -> None:
    for name, directory in (("plan.txt", False), ("Makefile", False), (".env", False), ("v1.2", True), ("a (b)", True)):
        for n in (1, 2, 12):
            copy = conflict_name(name, "Ana's phone", "2026-11-17", n, directory=directory)
            assert conflicted_from(copy) == name
            again = conflict_name(copy, "pc", "2026-11-18", n, directory=directory)
            assert conflicted_from(again) == copy
        assert conflicted_from(name) is None
    assert conflicted_from("plan (phone's copy 2026-11-17).txt") is None


def test_a_conflicted_copy_names_device_and_date_before_the_extension() -> None:
    name = conflict_name("plan.txt", "phone", "2026-11-17")
    assert name == "plan (phone's conflicted copy 2026-11-17).txt"
    assert conflict_name("plan.txt", "phone", "2026-11-17", 2) == "plan (phone's conflicted copy 2026-11-17)-2.txt"
    assert twin_name("ä.txt") == "ä (Unicode twin).txt"
    assert restored_name("plan") == "plan (restored)"
    assert restored_name("plan", 3) == "plan (restored)-3"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.txt", ("a", ".txt")),
        ("a.tar.gz", ("a.tar", ".gz")),
        (".bashrc", (".bashrc", "")),
        ("..x", ("..x", "")),
        ("a.", ("a.", "")),
        ("a", ("a", "")),
        ("a." + "x" * 40, ("a." + "x" * 40, "")),
    ],
)
def test_an_extension_is_a_short_ending_after_the_last_dot(name: str, parts: tuple[str, str]) -> None:
    assert split_extension(name) == parts


def test_a_directory_has_no_extension() -> None:
    assert conflict_name("v1.2", "pc", "2026-11-17", directory=True) == "v1.2 (pc's conflicted copy 2026-11-17)"


def test_a_long_name_is_shortened_between_characters() -> None:
    family = "👩\u200d👩\u200d👧"
    name = conflict_name("x" * 180 + family * 4 + ".txt", "phone", "2026-11-17")
    assert name.endswith(").txt")
    stem = name.split(" (phone")[0]
    assert stem.removeprefix("x" * 180).replace(family, "") == ""


def test_a_numbered_device_name_keeps_within_the_bound() -> None:
    assert [numbered_device_name("pc", n) for n in (1, 2, 3)] == ["pc", "pc-2", "pc-3"]
    assert numbered_device_name("x" * 40, 12) == "x" * 37 + "-12"


def test_a_date_is_the_utc_date_of_the_time() -> None:
    assert utc_date(0) == "1970-01-01"
    assert utc_date(-1) == "1969-12-31"
    assert utc_date(1_763_337_600 * 10**9) == "2025-11-17"
    assert utc_date(2**63 - 1) == "2262-04-11"


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=255).map(nfc)


@settings(deadline=None)
@given(names, st.integers(1, 10_000), st.booleans())
def test_every_name_made_for_a_copy_is_allowed_and_different(name: str, n: int, directory: bool) -> None:
    if name_problem(name, at_root=False) is not None:
        return
    for made in (
        conflict_name(name, "D" * limits.DEVICE_NAME_CHARS, "2026-11-17", n, directory=directory),
        conflict_name(name, "\U00020000" * limits.DEVICE_NAME_CHARS, "2026-11-17", n, directory=directory),
        twin_name(name, n, directory=directory),
        restored_name(name, n, directory=directory),
    ):
        assert name_problem(made, at_root=True) is None
        assert made != name
        assert unicodedata.is_normalized("NFC", made)
