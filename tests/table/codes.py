"""The codes of problems: which tests see a device say them."""

from typing import Final

from tests.table import Row, of

ROWS: Final = (
    Row("root_missing", "the folder is not there", of("e2e/sync/test_folders", "a_folder_that_is_gone_is_waited_for")),
    Row(
        "root_replaced",
        "another folder, an empty one or an older copy is there",
        of("e2e/sync/test_folders", "an_empty_folder_in_the_place_of_the_right_one_deletes_nothing")
        + of("e2e/sync/test_homes", "a_folder_put_back_from_a_backup_is_asked_about_and_then_brought_forward"),
    ),
    Row(
        "unreadable",
        "a file, a directory or the folder cannot be read",
        of(
            "e2e/sync/test_folders",
            "nothing_is_concluded_from_what_cannot_be_read",
            "what_the_disk_refuses_holds_up_nothing_else",
        )
        + of("e2e/sync/test_failing_disks", "what_cannot_be_read_is_unknown_and_holds_up_nothing_else")
        + of("e2e/sync/test_standing", "a_folder_that_another_program_syncs_is_waited_for_and_not_taken"),
    ),
    Row(
        "disk_full",
        "no room below the folder or the home",
        of(
            "e2e/sync/test_full_disks",
            "a_full_disk_below_the_folder_holds_up_only_what_does_not_fit",
            "a_full_disk_below_the_home_stops_and_goes_on",
        )
        + of("e2e/sync/test_failing_disks", "whatever_of_applying_fails_it_is_done_later")
        + of("unit/peer/disk/test_temporary", "a_full_disk_is_known_before_anything_is_written")
        + of("unit/transfer/test_interrupted", "a_full_disk_fails_that_file_and_leaves_nothing"),
    ),
    Row(
        "server_full",
        "no room at the coordinator",
        of("e2e/sync/test_full_disks", "a_full_disk_at_the_coordinator_is_said_and_waited_out")
        + of("contracts/test_block_store", "a_full_disk_is_said_before_anything_is_written"),
    ),
    Row("quota", "the owner's quota is used up", left="later: quotas; until then everything fits"),
    Row(
        "delete_brake",
        "a great part would be deleted, at once or bit by bit",
        of(
            "e2e/sync/test_folders",
            "a_large_deletion_waits_for_an_answer",
            "files_deleted_bit_by_bit_wait_for_an_answer_before_most_are_gone_elsewhere",
        ),
    ),
    Row(
        "damaged_block",
        "a block is not what it was",
        of("unit/transfer/test_interrupted", "a_block_that_stays_wrong_spoils_only_the_files_that_need_it"),
        left="simulator: a coordinator that serves wrong blocks; those damaged on its disk it calls absent",
    ),
    Row(
        "waiting_for_blocks",
        "the newest version's blocks are nowhere yet",
        of(
            "e2e/sync/test_damage",
            "a_damaged_block_holds_up_its_file_alone_until_the_file_is_saved_anew",
        )
        + of("unit/transfer/test_interrupted", "absent_blocks_make_a_version_wait_for_them"),
        left="later: versions that are offered before they are durable",
    ),
    Row(
        "not_shared",
        "a viewer's edits stay here",
        of("unit/planner/test_waves", "a_viewers_edits_stay_and_removed_files_come_back"),
        left="later: sharing with other people",
    ),
    Row(
        "access_removed",
        "no member any more, or a revoked device",
        of("unit/peer/engine/test_standing_up_again", "a_refusal_is_over_when_the_coordinator_answers_again")
        + of("e2e/commands/test_devices", "a_revoked_device_is_let_in_no_more_and_the_others_go_on_with_new_keys")
        + of("simulations/test_revoking", "a_revoked_device_is_dropped_by_all_within_seconds_and_gets_nothing_new"),
        left="later: sharing with other people",
    ),
    Row(
        "history_went_back",
        "the coordinator has an older history",
        of("e2e/sync/test_coordinator_away", "a_history_that_went_back_is_handed_back"),
    ),
    Row(
        "history_forked",
        "the coordinator has another history",
        of("e2e/sync/test_coordinator_away", "a_history_that_forked_is_reported_and_nothing_of_it_applied")
        + of("e2e/sync/test_homes", "a_forked_history_can_be_taken_and_nothing_is_lost"),
    ),
    Row(
        "history_invalid",
        "the coordinator's history breaks the rules",
        of("e2e/sync/test_damage", "a_history_that_breaks_the_rules_is_not_applied")
        + of(
            "unit/peer/store/test_taking_rows",
            "an_illegal_row_ends_the_reading_and_what_came_before_it_stays",
            "rows_out_of_order_or_of_another_chain_are_illegal",
        ),
        left="simulator: a coordinator that lies in other ways",
    ),
    Row(
        "bad_change",
        "a change's sealed part is not to be believed",
        of(
            "unit/peer/store/test_taking_rows",
            "a_sealed_part_that_says_another_thing_is_not_believed",
            "the_last_good_version_stays_when_a_bad_one_follows",
        )
        + of("unit/planner/test_waves", "a_version_that_was_never_good_is_absent_from_the_disk"),
        left="simulator: a device that lies",
    ),
    Row("no_recovery_key", "the recovery words are not written down", left="later: the recovery words"),
    Row(
        "watch_limit",
        "the system watches no more folders",
        of("e2e/sync/test_scarcity", "what_the_system_does_not_watch_is_scanned_and_that_is_said")
        + of("unit/peer/scan/test_watcher", "too_many_watches_are_said_and_the_rest_goes_on"),
    ),
    Row(
        "cloned_home",
        "two copies of a home are at work",
        of("e2e/sync/test_homes", "of_two_copies_of_a_home_at_work_at_once_one_stops_and_says_so"),
    ),
    Row(
        "suspect_file",
        "bytes changed although nobody saved",
        of(
            "e2e/sync/test_suspects",
            "what_nobody_saved_is_kept_aside_and_the_synced_version_put_back",
            "what_the_journal_has_since_is_what_is_put_back",
            "what_was_deleted_elsewhere_goes_and_what_was_found_stays_aside",
            "without_the_coordinator_it_is_kept_at_once_and_put_back_later",
            "an_edit_of_the_same_length_is_an_edit",
        ),
    ),
    Row(
        "move_undone",
        "a move made here gave way to another one",
        of("e2e/commands/test_log", "a_move_that_is_undone_is_said_where_it_was_made")
        + of("unit/planner/test_merge_table", "moved_on_both_sides_the_remote_place_wins_and_it_is_said"),
    ),
    Row(
        "busy_file",
        "a file never rests, or is open while it is to be replaced",
        of("unit/peer/disk/test_apply", "a_file_that_somebody_still_writes_to_is_rescued_not_unlinked"),
    ),
    Row(
        "name_not_allowed",
        "a name that cannot be synced",
        of("e2e/sync/test_folders", "special_files_are_shown_and_left_alone"),
    ),
    Row(
        "name_clash",
        "two names that are one in Unicode cannot be parted",
        of("unit/peer/scan/test_identity", "unicode_twins_are_reported_and_the_composed_one_stays"),
        left="simulator: a disk that folds case",
    ),
    Row(
        "special_file",
        "a pipe, a socket or a device",
        of("e2e/sync/test_folders", "special_files_are_shown_and_left_alone"),
    ),
    Row(
        "old_client",
        "the coordinator speaks a newer protocol",
        of("unit/peer/engine/test_standing_up_again", "a_refusal_is_over_when_the_coordinator_answers_again")
        + of("unit/link/test_coordinator", "another_major_version_is_an_old_client"),
        left="later: a second version to be newer than",
    ),
)
