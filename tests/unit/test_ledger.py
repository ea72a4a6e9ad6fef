"""The ledger of what people wrote finds what it is there to find."""

from simulations.checkers.at_rest import check_at_rest
from simulations.checkers.l02_phantom import strange_names
from simulations.ledger import Ledger, line_of


def test_what_nobody_replaced_is_there_once() -> None:
    ledger = Ledger()
    one, other = ledger.new("red", 500), ledger.new("blue", 5)
    assert check_at_rest(ledger, {"a": one, "b": other}) == []
    assert check_at_rest(ledger, {"a": one}) != []
    assert check_at_rest(ledger, {"a": one, "b": other, "c": other}) != []


def test_what_was_replaced_or_deleted_does_not_come_back() -> None:
    ledger = Ledger()
    first = ledger.new("red", 500)
    content = ledger.whole(first)
    assert content is not None
    second = ledger.new("blue", 500, content.line)
    assert line_of(second) == line_of(first)
    ledger.gone(content, "blue")
    assert check_at_rest(ledger, {"a": second}) == []
    assert check_at_rest(ledger, {"a": first}) != []
    assert check_at_rest(ledger, {"a": second, "a (blue's conflicted copy 2020-01-01)": first}) != []


def test_what_was_deleted_with_its_directory_may_live_where_another_device_moved_it_out() -> None:
    ledger = Ledger()
    data = ledger.new("red", 500)
    content = ledger.whole(data)
    assert content is not None
    ledger.gone(content, "red", ["d", "e"])
    assert check_at_rest(ledger, {"a": data}) != []
    ledger.gone(content, "red", ["d", "e"])
    ledger.directory_gone("e", "red")
    ledger.moved(content, "red", ["d", "e"])
    assert check_at_rest(ledger, {"a": data}) != [], "it was the same person"
    ledger.gone(content, "red", ["d", "e"])
    ledger.directory_gone("e", "red")
    ledger.moved(content, "blue", ["d", "e"])
    assert check_at_rest(ledger, {"a": data}) == []
    assert check_at_rest(ledger, {"a": data}) != []  # that was in the phase before
    ledger.revived([data])
    assert check_at_rest(ledger, {"a": data}) == []


def test_what_one_deleted_one_moved_out_and_one_deleted_with_its_directory_may_live() -> None:
    ledger = Ledger()
    data = ledger.new("red", 500)
    content = ledger.whole(data)
    assert content is not None
    for device in ("green", "blue"):
        ledger.gone(content, "red")
        ledger.moved(content, "green", ["d"])
        ledger.directory_gone("d", device)
        assert (check_at_rest(ledger, {"a": data}) == []) == (device == "blue")


def test_a_piece_of_a_content_is_not_a_content() -> None:
    ledger = Ledger()
    data = ledger.new("red", 5_000)
    for piece in (b"", data[:-1], data[1:], data[:2_000] + bytes(len(data) - 2_000)):
        assert ledger.whole(piece) is None
        assert check_at_rest(ledger, {"a": piece}) != []
    assert ledger.whole(data) is not None


def test_names_are_those_of_people_and_of_conflicted_copies() -> None:
    fine = ["file-1", "file-2.txt", "directory-3/file-4 (red's conflicted copy 2026-01-02)-2.txt"]
    assert strange_names([*fine, ".tmp-1", "file-1~", "directory-3/x"]) == [".tmp-1", "file-1~", "directory-3/x"]


def test_a_file_that_was_deleted_with_a_directory_that_somebody_else_moved_may_live() -> None:
    ledger = Ledger()
    data = ledger.new("red", 200)
    content = ledger.whole(data)
    assert content is not None
    ledger.directory_moved("directoryred-1", "directoryblue-2", "blue")
    ledger.gone(content, "red", ["shared", "directoryred-1"])
    assert "came back" in check_at_rest(ledger, {"a": data})[0], "red has deleted the file alone"
    ledger.directory_moved("directoryblue-2", "directoryblue-3", "blue")
    ledger.gone(content, "red", ["shared", "directoryred-1"])
    ledger.directory_gone("directoryred-1", "red")
    assert not check_at_rest(ledger, {"a": data})


def test_a_directory_that_was_moved_unseen_may_count_as_deleted() -> None:
    for restarted in ((), ("red",), ("blue",)):
        ledger = Ledger()
        data = ledger.new("red", 200)
        content = ledger.whole(data)
        assert content is not None
        ledger.gone(content, "red", ["directoryred-1"])
        ledger.directory_moved("directoryred-1", "directoryred-2", "red")
        ledger.moved(content, "blue", ["directoryred-1"])
        assert (check_at_rest(ledger, {"a": data}, restarted) == []) == (restarted == ("red",))
