"""The histories that failed once, and what keeps each failure from coming back. Owns the list; runs nothing.

A seed is the same history only at the commit at which it failed. Later it is another one, with the same shape and much
of what the same people did: run again, it looks for more of the kind. What would find the very same mistake is the
test beside it, which has its cause without the history around it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEDGER: Final = Path(__file__).parents[2] / "simulations" / "explored.jsonl"


@dataclass(frozen=True)
class KeptSeed:
    """A failure of an exploration."""

    seed: int
    commit: str
    """Where it failed."""
    what: str
    """What was wrong: with the program, or with what the simulator did or demanded."""
    test: str
    """What would find it now, as pytest calls it."""

    @property
    def name(self) -> str:
        """As the account of explorations calls the failure."""
        return f"{self.seed}@{self.commit}"


_WATCHER = "tests/unit/peer/scan/test_watcher.py"
_NOTICING = "tests/unit/peer/engine/test_noticing.py"
_EXECUTOR = "tests/unit/peer/engine/test_executor.py"
_STAYING = "tests/unit/peer/engine/test_staying.py"
_EFFECTS = "tests/unit/planner/test_effects.py"
_MERGE = "tests/unit/planner/test_merge_table.py"
_AGREEMENT = "tests/simulations/checkers/test_agreement.py::test_what_may_be_seen_is_explained"

_LEFT_RENAMED = f"{_WATCHER}::test_what_left_a_directory_that_was_then_renamed_is_gone_from_its_new_name"
_WHERE_NOW = f"{_NOTICING}::test_what_was_to_be_looked_at_where_no_directory_was_is_looked_at_where_that_is_now"
_WATCHED_LATER = f"{_WATCHER}::test_a_directory_that_was_made_where_it_is_no_more_is_watched_once_its_rename_is_told"
_NO_EDIT = f"{_MERGE}::test_a_later_version_that_was_put_here_without_a_row_is_no_edit"
_STAYED = f"{_STAYING}::test_what_stayed_in_place_when_the_disk_failed_has_its_row_first"
_ELSEWHERE = f"{_EXECUTOR}::test_what_has_turned_up_elsewhere_is_not_put_in_place_too"
_OWN_PLACE = "tests/simulations/checkers/test_disk_calls.py::test_the_private_directory_itself_is_nobodys_place"

KEPT: Final = (
    KeptSeed(20015, "5fca1dac20e9", "what left a directory was not missed once that was renamed", _LEFT_RENAMED),
    KeptSeed(20084, "5fca1dac20e9", "what changed below a directory was not looked for where that is now", _WHERE_NOW),
    KeptSeed(20088, "5fca1dac20e9", "what changed below a directory was not looked for where that is now", _WHERE_NOW),
    KeptSeed(
        20093,
        "5fca1dac20e9",
        "a program ended: a file had the name of its own copy already",
        f"{_EFFECTS}::test_a_file_that_has_the_name_of_its_copy_already_becomes_the_copy",
    ),
    KeptSeed(20103, "5fca1dac20e9", "what changed below a directory was not looked for where that is now", _WHERE_NOW),
    KeptSeed(20160, "5fca1dac20e9", "a directory was made, moved away and never watched", _WATCHED_LATER),
    KeptSeed(20162, "5fca1dac20e9", "what changed below a directory was not looked for where that is now", _WHERE_NOW),
    KeptSeed(20171, "5fca1dac20e9", "a directory was made, moved away and never watched", _WATCHED_LATER),
    KeptSeed(
        40206,
        "cd1c79d066f0",
        "a program ended: what was accepted was of an entry that had become another one",
        f"{_EFFECTS}::test_what_is_accepted_of_an_entry_that_has_become_another_one_here_leaves_nothing_behind",
    ),
    KeptSeed(50066, "ca8b69bb2399", "the checker took the private directory for people's", _OWN_PLACE),
    KeptSeed(50248, "ca8b69bb2399", "the checker took the private directory for people's", _OWN_PLACE),
    KeptSeed(50377, "ca8b69bb2399", "a version that was put in place without its row became somebody's edit", _NO_EDIT),
    KeptSeed(
        50726,
        "ca8b69bb2399",
        "a copy that the disk refused to make was taken for deleted",
        f"{_EXECUTOR}::test_a_copy_that_the_disk_refused_is_found_where_its_file_still_is",
    ),
    KeptSeed(50778, "ca8b69bb2399", "what a failing disk had kept after all became somebody's new file", _STAYED),
    KeptSeed(60125, "56afe2f46acd", "a version that was put in place without its row became somebody's edit", _NO_EDIT),
    KeptSeed(
        60190,
        "56afe2f46acd",
        "the model of one file had no explanation for a copy made of what is deleted since",
        f"{_AGREEMENT}[an edit meets what has been deleted since]",
    ),
    KeptSeed(60243, "56afe2f46acd", "a version that was put in place without its row became somebody's edit", _NO_EDIT),
    KeptSeed(
        60330,
        "56afe2f46acd",
        "a watch that was given up and asked for anew at once was lost",
        f"{_WATCHER}::test_a_watch_that_was_given_up_and_is_asked_for_anew_stays",
    ),
    KeptSeed(60553, "56afe2f46acd", "what a failing disk had kept after all became somebody's new file", _STAYED),
    KeptSeed(
        60756,
        "56afe2f46acd",
        "an old copy of a folder brought back what was deleted in a directory whose name another one has",
        "tests/e2e/sync/test_homes.py::test_what_was_in_a_directory_that_another_has_the_name_of_now_stays_deleted",
    ),
    KeptSeed(70148, "77f34ec4ff3f", "a file was put in place for an entry that was elsewhere by then", _ELSEWHERE),
    KeptSeed(70462, "77f34ec4ff3f", "a file was put in place for an entry that was elsewhere by then", _ELSEWHERE),
    KeptSeed(
        70623,
        "77f34ec4ff3f",
        "the model of one file had no explanation for an edit of what had been read before a deletion",
        f"{_AGREEMENT}[what was read goes up after a deletion though it was written over]",
    ),
    KeptSeed(
        80176,
        "0970bfa8e63e",
        "a simulated person never finished what was moved aside while half of it was written",
        "tests/unit/simulations/test_people.py"
        "::test_what_is_moved_aside_while_its_person_is_still_writing_it_is_written_anew",
    ),
    KeptSeed(
        200040,
        "e2756e982f4e",
        "a refused question made a device forget a commit that had come through",
        "tests/unit/peer/engine/test_answers_of_the_coordinator.py"
        "::test_a_refused_question_says_nothing_of_the_commit_which_may_have_come_through_before",
    ),
    KeptSeed(
        400212,
        "78f13f8caa4b",
        "a coordinator that was ending took a late question for a bug",
        "tests/contracts/test_metadata_store.py::test_a_closed_store_takes_nothing_more_and_says_ask_again",
    ),
    KeptSeed(
        503298,
        "88137d48d726",
        "a device whose folder could not be opened passed for one that is in step",
        "tests/simulations/test_old_copies.py"
        "::test_a_folder_that_cannot_be_opened_at_the_moment_has_not_come_to_what_all_have",
    ),
    KeptSeed(
        522092,
        "3d07d5d4f12f",
        "a commit that came through late was taken for another device's",
        "tests/simulations/test_answers_lost.py"
        "::test_a_commit_that_arrives_after_its_author_began_anew_and_read_the_journal_is_its_own",
    ),
    KeptSeed(
        731449,
        "f66cd433bc06",
        "a renamed file was taken for a deleted and a new one",
        f"{_NOTICING}::test_what_is_not_found_may_be_where_nobody_has_looked_yet",
    ),
    KeptSeed(
        770124,
        "342dfb6a4450",
        "what was committed anew after it had been handed to others had another base with each of them",
        "tests/simulations/test_continuity.py"
        "::test_what_an_author_has_committed_anew_is_the_same_base_wherever_it_was_handed_to",
    ),
    KeptSeed(
        5001029,
        "70ea3498ce29",
        "what a put on a failing disk took back was no version yet, and files were removed in the order of a set",
        "tests/simulations/checkers/test_disk_calls.py"
        "::test_what_was_handed_from_device_to_device_may_go_where_another_has_it",
    ),
    KeptSeed(
        5001199,
        "70ea3498ce29",
        "the answer to a question about the offered set was lost, and it was not asked again",
        "tests/simulations/test_offered.py::test_a_question_about_the_set_whose_answer_is_lost_is_asked_again",
    ),
    KeptSeed(
        780130,
        "45fd293079ec",
        "one edit on two devices, over two versions of the same content, was two conflicted copies",
        f"{_MERGE}::test_one_edit_is_one_copy_whichever_version_of_the_same_content_it_was_made_over",
    ),
    KeptSeed(
        780167,
        "45fd293079ec",
        "one edit on two devices, over two versions of the same content, was two conflicted copies",
        f"{_MERGE}::test_one_edit_is_one_copy_whichever_version_of_the_same_content_it_was_made_over",
    ),
    KeptSeed(
        783287,
        "e72ebca30206",
        "of a file that was brought back by what nobody had, what was before its deletion was shown again",
        "tests/unit/peer/engine/test_lacking.py"
        "::test_what_was_deleted_before_somebody_brought_it_back_is_not_shown_again",
    ),
    KeptSeed(
        785155,
        "fd7365a4355b",
        "what was handed over and deleted again while the coordinator was away was kept nowhere",
        "tests/unit/peer/store/test_provisional.py"
        "::test_what_counts_without_the_journal_is_no_version_that_its_bytes_could_be_had_of",
    ),
)


def failures_and_closings() -> tuple[list[str], Mapping[str, str]]:
    """What the account of explorations has: its failures, and the text that closed each that is closed."""
    failures: list[str] = []
    closings: dict[str, str] = {}
    for text in LEDGER.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if "closed" in line:
            closings[line["closed"]] = line["by"]
        elif "failed" in line:
            failures += [f"{seed}@{line['commit']}" for seed in line["failed"]]
    return failures, closings
