"""The rows of the merge table. Each goes through all tests of `EVERY` with real devices, and its own of the planner."""

from typing import Final

from tests.table import Row, of

EVERY: Final = of(
    "e2e/sync/test_merge_table",
    "offline_edits_come_together_one_after_the_other",
    "offline_edits_race_when_both_come_back_at_once",
    "online_edits_meet_what_came_before_them",
    "racing_edits_end_as_if_either_had_been_first",
)
PLANNER: Final = "unit/planner/test_merge_table"


def _row(name: str, what: str, *tests: str) -> Row:
    return Row(name, what, EVERY + of(PLANNER, *tests))


ROWS: Final = (
    _row("unchanged and unchanged", "nothing is done", "nothing_changed_nothing_is_done"),
    _row("changed there, unchanged here", "applied to the disk", "a_remote_change_is_applied_to_the_disk"),
    _row(
        "unchanged there, changed here",
        "proposed",
        "a_local_change_is_proposed",
        "a_removed_directory_is_proposed_as_one_deletion",
    ),
    _row(
        "the same value on both sides",
        "adopted, nothing moves",
        "the_same_value_on_both_sides_is_adopted_and_nothing_moves",
    ),
    _row(
        "content and content",
        "both kept, the late one as a conflicted copy",
        "content_changed_on_both_sides_keeps_both",
        "a_conflicted_copy_whose_name_is_taken_is_numbered",
        "a_conflicted_copy_whose_id_was_deleted_gets_another_id",
        "a_copy_that_conflicts_again_is_another_copy_of_the_original",
        "a_conflict_of_contents_keeps_the_local_move",
    ),
    _row(
        "place and place",
        "the journal's place wins, and that is said",
        "moved_on_both_sides_the_remote_place_wins_and_it_is_said",
    ),
    _row(
        "place and content",
        "both apply",
        "moved_there_and_edited_here_both_apply",
        "edited_there_and_moved_here_both_apply",
    ),
    _row(
        "attributes and anything but deletion",
        "both apply; never a copy",
        "attributes_there_and_content_here_both_apply",
        "content_there_and_attributes_here_both_apply",
        "of_two_executable_bits_and_two_mtimes_the_remote_ones_win_without_a_copy",
    ),
    _row(
        "attributes and deletion",
        "the deletion wins",
        "a_remote_delete_beats_local_attributes",
        "a_local_delete_beats_remote_attributes",
    ),
    _row(
        "deletion and edit",
        "the edit wins",
        "a_local_edit_wins_over_a_remote_delete",
        "a_remote_edit_wins_over_a_local_delete",
    ),
    _row(
        "deletion and move",
        "the deletion wins",
        "a_remote_delete_wins_over_a_local_move",
        "a_local_delete_wins_over_a_remote_move",
        "what_was_deleted_alone_here_stays_deleted_though_it_was_moved_there",
    ),
    _row(
        "directory deleted, something moved out of it",
        "what was moved out lives",
        "what_was_moved_out_here_of_a_directory_deleted_there_lives",
        "what_was_moved_out_there_of_a_directory_deleted_here_lives",
        "what_was_moved_out_there_keeps_all_that_is_in_it_whatever_was_deleted_here",
    ),
    _row(
        "directory deleted, something below it changed",
        "only that survives, in a directory made again",
        "below_a_directory_deleted_there_only_what_changed_here_survives",
        "below_a_directory_deleted_here_only_what_changed_there_survives",
        "what_was_moved_there_below_a_directory_deleted_here_lives_with_the_directory",
    ),
    _row(
        "made on both sides, equal",
        "one entry",
        "created_on_both_sides_with_the_same_bytes_is_one_entry",
    ),
    _row(
        "made on both sides, different",
        "both kept; directories become one",
        "created_on_both_sides_with_other_bytes_keeps_both",
        "directories_created_on_both_sides_are_merged_child_by_child",
    ),
    _row(
        "two entries at one name",
        "the journal's has the name, the other one keeps its id and history under another",
        "a_name_taken_there_by_a_move_stays_taken_and_the_local_entry_is_renamed",
        "a_name_taken_there_by_a_creation_stays_taken_and_the_moved_entry_is_renamed",
        "a_name_taken_there_by_a_restored_entry_stays_taken",
        "a_moved_directory_is_renamed_and_not_merged",
    ),
    _row(
        "each moved into the other",
        "the local move is undone, no circle",
        "directories_moved_into_each_other_make_no_cycle",
    ),
    _row(
        "a file in the place of a directory, or the reverse",
        "two entries",
        "a_file_replaced_here_by_a_directory_is_two_entries",
        "a_directory_replaced_there_by_a_file_is_two_entries",
    ),
    Row("names that are odd", "are names", EVERY),
)
