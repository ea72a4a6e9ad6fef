"""What may go wrong around the programs, and which tests have it go wrong. A catalogue with numbers of its own."""

from typing import Final

from tests.table import Row, of
from tests.table.merge import EVERY

_CRASHES: Final = of("e2e/sync/test_crashes", "killed_at_random_moments_nothing_is_lost")
_POWER: Final = of("e2e/sync/test_forgetful", "what_was_acknowledged_survives_power_cuts")
_FOLDERS: Final = "e2e/sync/test_folders"
_HOMES: Final = "e2e/sync/test_homes"
_CONTENTS: Final = "e2e/sync/test_contents"
_FULL: Final = "e2e/sync/test_full_disks"
_FAILING: Final = "e2e/sync/test_failing_disks"
_SHAPES: Final = "e2e/sync/test_shapes"
_MOTION: Final = "e2e/sync/test_in_motion"
_LINES: Final = "e2e/sync/test_lines"
_ABUSE: Final = of("e2e/coordinator/test_abuse", "others_are_served_meanwhile_and_it_stops_in_time")
_LAN: Final = "later: transfers between devices"
_SCALE: Final = "later: a coordinator of several processes"
_SHARING: Final = "later: sharing with other people"

CRASHES: Final = (
    Row(
        "F01",
        "a device killed during scan, upload, download, rename, deletion, conflict",
        _CRASHES
        + of(
            "unit/peer/disk/test_races",
            "a_crash_at_any_call_leaves_the_old_or_the_new_bytes_and_recovers",
            "an_edit_and_then_a_crash_at_any_later_call_lose_nothing",
        ),
        shows=("kills", "hour"),
        left="simulator: every call in turn, of database and network too",
    ),
    Row("F02", "power cut: what was not synced is forgotten", _POWER, shows=("forgetful",)),
    Row("F03", "the last write torn", _POWER, left="simulator: torn at every byte"),
    Row(
        "F04",
        "a file cut to zero or zero-filled by a crash, with its old time",
        of("e2e/sync/test_suspects", "what_nobody_saved_is_kept_aside_and_the_synced_version_put_back"),
    ),
    Row("F05", "killed between the exchange on disk and the row about it", _CRASHES + _POWER, shows=("kills",)),
    Row(
        "F06",
        "killed, or cut off, after the commit and before its answer",
        _CRASHES
        + of(_LINES, "an_answer_that_is_lost_after_the_deed_doubles_nothing")
        + of(
            "unit/peer/store/test_taking_rows",
            "what_was_in_flight_when_the_program_ended_counts_as_synced_once_the_journal_has_it",
        )
        + of("unit/protocol/rules/test_commits", "an_accepted_commit_seen_again_gets_the_same_place_again"),
        shows=("kills",),
    ),
    Row(
        "F07",
        "keys, marker or lock garbled by a crash",
        of("e2e/sync/test_standing", "a_home_that_is_damaged_beyond_that_says_so")
        + of("unit/peer/disk/test_private", "a_garbled_marker_is_no_marker_and_can_be_replaced")
        + of("unit/peer/test_home", "a_damaged_identity_is_one_clear_error")
        + of("e2e/commands/test_running", "a_killed_daemons_lock_and_socket_are_in_nobodys_way"),
    ),
    Row("F08", "killed while the database is brought to a new version", left="later: a second version of it"),
    Row("F09", "no memory left in a worker", left="simulator: a worker that fails at every call"),
    Row(
        "F10",
        "the coordinator killed during commit, upload, notification, joining",
        _CRASHES
        + of("contracts/test_metadata_store", "whatever_was_answered_is_there_after_the_process_is_killed")
        + of("unit/link/test_joining", "a_join_whose_answer_was_lost_is_completed_by_joining_again"),
        shows=("kills", "hour"),
        left="simulator: every call in turn; later: collection of garbage, rotation of keys",
    ),
    Row(
        "F11",
        "power cut between a block and its index",
        _POWER
        + of("contracts/test_block_store", "an_append_cut_at_any_byte_leaves_what_was_stored_and_the_next_one_works"),
        shows=("forgetful",),
    ),
    Row("F12", "the coordinator killed while it wakes devices", _CRASHES, shows=("kills",)),
    Row(
        "F13",
        "killed during the upload of a large file",
        of("unit/transfer/test_interrupted", "a_run_after_a_kill_sends_only_what_had_not_arrived")
        + of("e2e/coordinator/test_blocks_stream", "an_upload_cut_at_any_byte_goes_on_at_the_next_block"),
        shows=("cut-upload",),
    ),
    Row(
        "F14",
        "another version of the coordinator in the middle of a session",
        of("unit/link/test_coordinator", "another_major_version_is_an_old_client")
        + of("unit/coordinator/test_people", "another_major_version_is_told_so"),
        left="later: a second version",
    ),
)

STORAGE: Final = (
    Row(
        "F15",
        "no room below the folder",
        of(_FULL, "a_full_disk_below_the_folder_holds_up_only_what_does_not_fit")
        + of(_FAILING, "whatever_of_applying_fails_it_is_done_later")
        + of("unit/peer/disk/test_temporary", "a_full_disk_is_known_before_anything_is_written")
        + of("unit/transfer/test_interrupted", "a_full_disk_fails_that_file_and_leaves_nothing"),
    ),
    Row(
        "F16",
        "no room below the home, or it fails",
        of(_FULL, "a_full_disk_below_the_home_stops_and_goes_on")
        + of(_FAILING, "a_local_database_that_fails_stops_the_folder_until_it_works")
        + of("unit/peer/store/test_database", "a_full_disk_undoes_the_transaction"),
    ),
    Row(
        "F17",
        "no room at the coordinator",
        of(_FULL, "a_full_disk_at_the_coordinator_is_said_and_waited_out")
        + of(
            "contracts/test_block_store",
            "a_full_disk_is_said_before_anything_is_written",
            "a_write_that_fails_half_way_is_cut_off_again",
        )
        + of("contracts/test_metadata_store", "when_the_storage_fails_everybody_who_waited_is_told"),
    ),
    Row(
        "F18",
        "a file that the disk fails to read",
        of(_FAILING, "what_cannot_be_read_is_unknown_and_holds_up_nothing_else")
        + of("unit/transfer/test_interrupted", "a_file_that_the_system_refuses_to_read_has_failed_alone"),
    ),
    Row(
        "F19",
        "syncing fails",
        of(_FAILING, "whatever_of_applying_fails_it_is_done_later", "a_coordinator_whose_disk_fails_is_waited_for")
        + of("unit/peer/disk/test_temporary", "what_could_not_be_made_durable_is_not_put_in_place")
        + of("contracts/test_block_store", "a_failed_flush_is_not_taken_for_success_and_ends_the_segment"),
    ),
    Row(
        "F20",
        "the coordinator fails to read a block, or its directory of blocks is gone",
        of(_FAILING, "blocks_that_are_gone_are_waited_for", "a_coordinator_whose_disk_fails_is_waited_for")
        + of("contracts/test_block_store", "a_damaged_or_missing_block_counts_as_absent")
        + of("unit/coordinator/test_blocks", "a_damaged_block_counts_as_absent_until_it_is_sent_again"),
    ),
    Row(
        "F21",
        "no permission for a file, a directory, the folder",
        of(
            _FOLDERS,
            "nothing_is_concluded_from_what_cannot_be_read",
            "what_the_disk_refuses_holds_up_nothing_else",
        )
        + of(_FAILING, "a_directory_that_cannot_be_written_to_holds_up_only_what_is_in_it"),
    ),
    Row(
        "F22",
        "no descriptors left",
        of("e2e/sync/test_scarcity", "too_few_descriptors_make_things_late"),
        left="simulator: every call in turn",
    ),
    Row("F23", "the disk becomes read-only", of(_FOLDERS, "what_the_disk_refuses_holds_up_nothing_else")),
    Row(
        "F24",
        "names and paths at the limit, and beyond",
        of(_CONTENTS, "names_and_depths_are_kept")
        + of(
            _SHAPES,
            "a_path_may_be_as_deep_as_it_is_allowed_and_a_deeper_one_is_said",
            "long_names_all_the_way_down",
        )
        + of("unit/protocol/test_names", "a_long_name_is_shortened_between_characters"),
    ),
    Row("F25", "a slow disk", of("e2e/sync/test_scarcity", "a_slow_disk_makes_things_late")),
    Row(
        "F26",
        "bytes rot under a file whose size and times stay",
        of("e2e/commands/test_checks", "verify_finds_a_file_whose_bytes_changed_under_it"),
    ),
)

FOLDER: Final = (
    Row(
        "F27",
        "an empty directory in the folder's place",
        of(_FOLDERS, "an_empty_folder_in_the_place_of_the_right_one_deletes_nothing"),
    ),
    Row("F28", "the folder deleted or renamed", of(_FOLDERS, "a_folder_that_is_gone_is_waited_for")),
    Row(
        "F29",
        "a mount inside the folder comes or goes",
        of("e2e/sync/test_scarcity", "what_a_mount_hides_is_not_deleted"),
        left="later: what lies on another file system is not entered",
    ),
    Row(
        "F30",
        "a person deletes nearly all, at once or bit by bit",
        of(
            _FOLDERS,
            "a_large_deletion_waits_for_an_answer",
            "files_deleted_bit_by_bit_wait_for_an_answer_before_most_are_gone_elsewhere",
        ),
    ),
    Row(
        "F31",
        "more events than the system keeps",
        of("unit/peer/scan/test_watcher", "lost_events_lead_to_an_overflow_and_new_directories_are_watched_again"),
        left="simulator: an overflow at any moment",
    ),
    Row(
        "F32",
        "no more watches",
        of("e2e/sync/test_scarcity", "what_the_system_does_not_watch_is_scanned_and_that_is_said")
        + of("unit/peer/scan/test_watcher", "too_many_watches_are_said_and_the_rest_goes_on"),
    ),
    Row(
        "F33",
        "events late, doubled, out of order",
        of("unit/peer/scan/test_watcher", "whoever_follows_the_events_knows_what_is_on_the_disk")
        + of(
            "unit/peer/scan/test_identity",
            "after_any_history_the_tree_is_the_disk_and_a_second_scan_finds_nothing",
            "what_is_renamed_while_the_folder_is_walked_keeps_its_entry",
        ),
        left="simulator: any stream of events",
    ),
    Row(
        "F34",
        "a file changes while it is read or sent",
        of(_MOTION, "a_file_rewritten_in_place_is_never_seen_half", "a_long_file_written_with_pauses_is_sent_once")
        + of("unit/transfer/test_interrupted", "a_file_written_to_while_it_is_read_is_changed"),
        shows=("kills", "hour"),
    ),
    Row(
        "F35",
        "a file that never rests",
        of(_MOTION, "a_log_that_grows_arrives_in_whole_lines")
        + of(
            "unit/peer/scan/test_settle",
            "a_file_that_is_saved_all_the_time_is_taken_ever_more_rarely_but_always_again",
        ),
    ),
    Row(
        "F36",
        "the ways in which editors save",
        of(_MOTION, "every_way_of_saving_is_an_edit_of_the_same_file")
        + of("unit/peer/scan/test_identity", "a_saved_file_keeps_its_entry_however_it_was_saved"),
    ),
    Row(
        "F37",
        "other bytes with the same size and time",
        of("e2e/sync/test_suspects", "an_edit_of_the_same_length_is_an_edit")
        + of("unit/peer/engine/test_suspects", "the_same_file_of_the_same_time_with_other_bytes_is_suspect"),
    ),
    Row(
        "F38",
        "times before 1970, far ahead, or coarse",
        of(_CONTENTS, "attributes_links_and_empty_things_arrive"),
        left="simulator: disks with coarse times",
    ),
    Row(
        "F39",
        "clocks that are wrong or jump",
        of(
            "e2e/sync/test_clocks",
            "devices_whose_clocks_are_decades_off_join_pair_and_are_in_step",
            "clocks_that_jump_order_nothing_and_end_nothing",
        ),
        left="simulator: clocks that jump at any moment",
    ),
    Row(
        "F40",
        "suspension past every time-out, then waking",
        of(
            _LINES,
            "a_device_that_slept_past_every_time_out_is_back_and_in_step",
            "a_coordinator_that_slept_past_every_time_out_goes_on_where_it_was",
        ),
        shows=("hour",),
        left="simulator: days",
    ),
)

SHAPE: Final = (
    Row(
        "F41",
        "one kind takes the place of another",
        EVERY + of(_SHAPES, "anything_may_take_the_place_of_anything"),
    ),
    Row(
        "F42",
        "links out of the folder, in circles, to nothing",
        of(_CONTENTS, "attributes_links_and_empty_things_arrive")
        + of("unit/peer/disk/test_apply", "no_step_reaches_outside_the_folder_or_into_the_private_directory"),
    ),
    Row(
        "F43",
        "pipes, sockets, devices, files with holes, hard links",
        of(_FOLDERS, "special_files_are_shown_and_left_alone")
        + of(_CONTENTS, "a_file_with_holes_arrives")
        + of(_SHAPES, "two_names_of_one_file_are_a_file_each", "what_is_read_only_is_synced_and_stays_so")
        + of("unit/peer/scan/test_identity", "hard_links_are_entries_of_their_own"),
    ),
    Row(
        "F44",
        "many renames, in chains and exchanges, and copies instead of renames",
        EVERY
        + of(_CONTENTS, "files_copied_and_removed_while_nobody_looked_are_the_same_files")
        + of("unit/peer/scan/test_identity", "renames_alone_to_free_new_names_change_no_entry"),
        shows=("real-tree", "kills", "hour"),
    ),
    Row("F45", "a directory renamed while files arrive in it", EVERY, shows=("hour",)),
    Row("F46", "moves that would make a circle", EVERY),
    Row("F47", "a directory deleted while something in it is edited", EVERY, shows=("hour",)),
    Row(
        "F48",
        "names that differ in case only",
        of(_SHAPES, "a_name_may_change_its_case_alone"),
        left="simulator: disks that fold case",
    ),
    Row(
        "F49",
        "Unicode twins, other forms, names that are no UTF-8",
        of(
            _CONTENTS,
            "a_name_in_another_unicode_form_stays_as_it_is_on_its_disk",
            "of_two_names_that_are_equal_in_unicode_one_is_renamed_everywhere",
        )
        + of(_FOLDERS, "special_files_are_shown_and_left_alone"),
    ),
    Row(
        "F50",
        "names that other systems refuse",
        of(_CONTENTS, "names_and_depths_are_kept"),
        left="simulator: disks that refuse them",
    ),
    Row(
        "F51",
        "very many files at once, very many in one directory",
        of(_CONTENTS, "ten_thousand_files_in_one_directory"),
        shows=("real-tree",),
    ),
    Row(
        "F52",
        "empty files and directories, sizes at the bounds of chunks",
        of(_CONTENTS, "attributes_links_and_empty_things_arrive")
        + of("properties/test_chunking", "cuts_cover_everything_and_keep_their_bounds"),
    ),
    Row("F53", "deleted and made again under the same name", EVERY),
    Row(
        "F54",
        "ignored, and not ignored any more",
        of(_CONTENTS, "what_is_ignored_stays_here_and_is_in_nobodys_way")
        + of("unit/peer/scan/test_identity", "an_entry_that_is_now_ignored_has_not_vanished"),
    ),
    Row(
        "F55",
        "files that are not here by choice",
        of("unit/planner/test_waves", "absence_by_design_is_no_deletion_and_follows_the_journal"),
        left="later: choosing what is here",
    ),
)

NETWORK: Final = (
    Row("F56", "messages lost, doubled, late", left="simulator: any of it at any message"),
    Row(
        "F57",
        "parts of the network cut off from each other",
        of(
            "e2e/sync/test_coordinator_away",
            "what_was_edited_meanwhile_comes_together_when_it_is_back",
            "devices_started_while_it_is_away_work_on",
        )
        + of(_LINES, "a_line_that_swallows_holds_back_or_refuses_is_offline_until_it_is_well_again"),
        shows=("hour",),
        left="simulator: any split; " + _LAN,
    ),
    Row(
        "F58",
        "a connection whose other end is gone without a word",
        of(_LINES, "connections_that_are_half_open_are_noticed_and_replaced")
        + of("unit/link/test_notify", "a_line_that_went_dead_is_noticed_within_20_seconds"),
        shows=("hour",),
    ),
    Row(
        "F59",
        "a connection cut at any byte",
        of(_LINES, "a_line_that_breaks_in_the_middle_of_files_goes_on_where_it_was")
        + of(
            "sessions/test_upload_cut",
            "files_cross_a_link_that_is_cut_and_nothing_complete_is_sent_twice",
            "a_download_over_a_link_that_is_cut_goes_on",
        )
        + of("unit/link/test_http", "an_answer_cut_at_any_byte_is_unreachable"),
        shows=("cut-upload",),
    ),
    Row(
        "F60",
        "a line that trickles, or stands still",
        of(_LINES, "a_trickle_is_slow_and_not_dead")
        + of(
            "unit/link/test_http",
            "a_silent_server_is_given_up",
            "a_server_that_reads_nothing_is_given_up",
            "a_slow_upload_is_not_taken_for_silence",
        )
        + _ABUSE,
    ),
    Row(
        "F61",
        "a source that serves wrong blocks",
        of(
            "unit/transfer/test_interrupted",
            "a_wrong_block_is_asked_for_again_and_counted_against_its_source",
            "a_block_that_holds_another_chunk_than_promised_is_not_written",
        ),
        left=_LAN,
    ),
    Row("F62", "a device that offers all and delivers nothing", left=_LAN),
    Row(
        "F63",
        "something else answers at the coordinator's address",
        of("unit/link/test_coordinator", "an_answer_that_is_not_the_coordinators_is_one_clear_error")
        + of("unit/link/test_addresses", "a_stranger_at_the_address_is_told_nothing"),
    ),
    Row(
        "F64",
        "addresses change",
        of("unit/link/test_addresses", "the_address_that_stopped_answering_is_left_for_another"),
        left=_LAN,
    ),
    Row(
        "F65",
        "no wake-up ever comes",
        of("e2e/sync/test_proxies", "where_no_socket_passes_devices_poll_and_are_in_step_as_quickly")
        + of("unit/link/test_notify", "where_nothing_lets_sockets_through_it_polls"),
    ),
    Row(
        "F66",
        "thousands of devices reconnect at once",
        of(
            "e2e/coordinator/test_serve",
            "a_flood_of_connections_keeps_nobody_out_and_does_not_hold_up_the_stop",
        ),
        left="simulator: thousands",
    ),
)

SERVER: Final = (
    Row(
        "F67",
        "the coordinator put back from an old backup",
        of("e2e/sync/test_coordinator_away", "a_history_that_went_back_is_handed_back")
        + of(_HOMES, "a_workspace_that_the_coordinator_lost_altogether_is_handed_back"),
    ),
    Row(
        "F68",
        "put back, and written to before the others came",
        of("e2e/sync/test_coordinator_away", "a_history_that_forked_is_reported_and_nothing_of_it_applied")
        + of(_HOMES, "a_forked_history_can_be_taken_and_nothing_is_lost"),
    ),
    Row(
        "F69",
        "a block lost or damaged in the store",
        of("e2e/sync/test_damage", "a_damaged_block_holds_up_its_file_alone_until_the_file_is_saved_anew")
        + of("contracts/test_block_store", "a_damaged_or_missing_block_counts_as_absent")
        + of("unit/coordinator/test_blocks", "a_damaged_block_counts_as_absent_until_it_is_sent_again"),
        left="later: devices that send it again by themselves",
    ),
    Row("F70", "records and blocks of different days", left="later: scrubbing"),
    Row("F71", "garbage collected while somebody uploads or restores", left="later: collection of garbage"),
    Row(
        "F72",
        "two coordinators on the same data",
        of("e2e/coordinator/test_serve", "a_second_server_on_the_same_data_is_refused"),
        left=_SCALE,
    ),
    Row(
        "F73",
        "the database locked or slow",
        of("contracts/test_metadata_store", "two_stores_on_one_file_take_turns"),
    ),
    Row("F74", "PostgreSQL restarts or loses an answer", left=_SCALE),
    Row("F75", "Redis is lost", left=_SCALE),
    Row("F76", "S3 fails after it succeeded", left=_SCALE),
    Row("F77", "a job delivered twice", left=_SCALE),
    Row("F78", "the quota reached in the middle", left="later: quotas"),
    Row("F79", "history purged that a device still builds on", left="later: retention"),
    Row("F80", "away for longer than deletions are kept", left="later: retention"),
)

RIGHTS: Final = (
    Row(
        "F81",
        "a login runs out in the middle",
        of("unit/link/test_notify", "a_login_that_runs_out_is_followed_by_another_without_a_word")
        + of("unit/link/test_coordinator", "a_token_that_is_no_longer_taken_is_replaced_once"),
    ),
    Row("F82", "a role taken away in the middle", left=_SHARING),
    Row(
        "F83",
        "a device revoked while it is online or not",
        of("e2e/commands/test_devices", "a_revoked_device_is_let_in_no_more_and_the_others_go_on_with_new_keys")
        + of(
            "simulations/test_revoking",
            "a_revoked_device_is_dropped_by_all_within_seconds_and_gets_nothing_new",
            "a_device_revoked_while_it_was_off_is_told_when_it_comes_back",
        )
        + of("unit/coordinator/test_revoking", "a_revoked_device_is_denied_everything_at_once"),
    ),
    Row(
        "F84",
        "keys rotated while somebody writes",
        of("simulations/test_revoking", "keys_that_change_while_everybody_writes_hold_up_nothing")
        + of("unit/protocol/rules/test_revocations", "a_revoked_device_is_valid_no_more_and_the_next_epoch_begins"),
    ),
    Row(
        "F85",
        "a device lost its keys",
        of("e2e/sync/test_standing", "a_home_that_is_damaged_beyond_that_says_so"),
        left="later: the recovery words",
    ),
)

HOME: Final = (
    Row(
        "F86",
        "an older home beside a current folder",
        of(
            _HOMES,
            "a_home_put_back_from_a_backup_begins_anew_and_loses_nothing",
            "a_home_that_is_older_than_its_folder_takes_nothing_there_for_an_edit",
        ),
    ),
    Row(
        "F87",
        "home and folder put back together",
        of(_HOMES, "a_home_and_a_folder_put_back_together_are_brought_forward"),
    ),
    Row(
        "F88",
        "a home copied to a second machine",
        of(_HOMES, "of_two_copies_of_a_home_at_work_at_once_one_stops_and_says_so"),
    ),
    Row(
        "F89",
        "the home or its database lost",
        of(
            _HOMES,
            "a_folder_whose_home_is_lost_is_taken_up_by_another_without_a_transfer",
            "what_was_edited_in_a_folder_whose_home_is_lost_is_kept_beside_the_journals",
            "a_home_whose_database_is_damaged_says_so_and_begins_again_without_it",
        ),
    ),
    Row(
        "F90",
        "two programs on one folder or one home",
        of(_FOLDERS, "a_folder_belongs_to_one_home_and_a_home_has_one_daemon")
        + of("e2e/sync/test_standing", "a_folder_that_another_program_syncs_is_waited_for_and_not_taken"),
    ),
    Row(
        "F91",
        "folders inside each other",
        of("e2e/commands/test_syncing", "add_refuses_what_is_in_step_already_or_overlaps"),
    ),
    Row(
        "F92",
        "a file system without exchange, watches or locks",
        of("unit/peer/disk/test_private", "where_names_cannot_be_exchanged_the_root_says_so"),
        left="simulator: file systems that lack something",
    ),
    Row(
        "F93",
        "a damaged page in the local database",
        of(_HOMES, "a_home_whose_database_is_damaged_says_so_and_begins_again_without_it")
        + of("unit/peer/store/test_database", "damage_that_is_found_later_is_told_like_damage_found_at_once"),
    ),
    Row(
        "F94",
        "a file that another program has open",
        of("unit/peer/disk/test_apply", "a_file_that_somebody_still_writes_to_is_rescued_not_unlinked")
        + of(_MOTION, "a_long_file_written_with_pauses_is_sent_once"),
    ),
)

ROWS: Final = (*CRASHES, *STORAGE, *FOLDER, *SHAPE, *NETWORK, *SERVER, *RIGHTS, *HOME)
