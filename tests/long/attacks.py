"""The attacks of the first review, with what was measured then, and where each is repeated: figures of the long suites, and ordinary
tests. For tests/long/reliability."""
import collections

# `now` returns what was measured, given the figures, or is `None`. `tests` are pairs of a file and a test.
Row = collections.namedtuple("Row", "attack before now tests")


class NotMeasured(Exception):
    pass


def lines(figures, **wanted):
    found = [line for line in figures if all(line.get(key) == value for key, value in wanted.items())]
    if not found:
        raise NotMeasured
    return found


def mark(is_right, text):
    return text if is_right else f"**wrong**: {text}"


def span(numbers):
    return " / ".join(str(number) for number in numbers) or "none"


def hostile(*names):
    def now(figures):
        found = [lines(figures, suite="hostile", attack=name)[0] for name in names]
        parts = [f"{f['wall']} s, {f['mib']} MiB, journal {f['journal_mib']} MiB, {f['status'] or 'no status'}" for f in found]
        return mark(all(f["good"] for f in found), "; ".join(parts))
    return now


def hostile_group(prefix):
    """The worst of several attacks."""
    def now(figures):
        found = [f for f in lines(figures, suite="hostile") if f["attack"].startswith(prefix)]
        if not found:
            raise NotMeasured
        right = sum(f["good"] for f in found)
        return mark(right == len(found), f"{right} of {len(found)} within limits; at most {max(f['wall'] - f['limit'] for f in found):.1f} s after "
                    f"`timeout`, {max(f['mib'] for f in found)} MiB, journal {max(f['journal_mib'] for f in found)} MiB")
    return now


def verdicts(prefix, status):
    def now(figures):
        found = [f for f in lines(figures, suite="hostile") if f["attack"].startswith(prefix)]
        if not found:
            raise NotMeasured
        return mark(all(f["status"] == status for f in found), ", ".join(f"{f['limit']} s: {f['status']}" for f in found))
    return now


def host(name, *keys):
    def now(figures):
        found = lines(figures, suite="host", attack=name)[0]
        return mark(found["good"], ", ".join(f"{key} {value}" for key, value in found["figures"].items() if not keys or key in keys))
    return now


def reading(kind):
    def now(figures):
        found = lines(figures, suite="reading", kind=kind)[0]
        return mark(found["good"], f"{span(found['seconds'])} s, at most {found['output']} bytes of output")
    return now


def interrupts(signal):
    def now(figures):
        f = lines(figures, suite="interrupts", signal=signal)[0]
        text = f"{f['exit_130']} of {f['samples']} exit 130 (others were over), {f['reports']} reports, {span(f['seconds'])} s"
        if f["immediate"]:
            text += f"; {f['immediate']} at once, {span(f['listed'])} undo actions listed, 0 left after `cleanup`"
        else:
            text += ", 0 left"
        return text
    return now


def chaos(on, *keys):
    def now(figures):
        f = lines(figures, suite="chaos", on=on)[0]
        before = f["before"]
        texts = {
            "left": f"left by the kill: sessions {span(before['rows of sessions'])}, templates {span(before['templates'])}, "
                    f"webhooks {span(before['rows of webhooks'])}, undo actions {span(f['undos'])}",
            "after": f"{f['killed']} killed, {f['faults']} with a fault in force, {f['killed_cleanups']} cleanups killed too: 0 left, "
                     f"all reported, {f['whole_runs']} whole runs passed",
        }
        return "; ".join(texts[key] for key in keys)
    return now


def many_runs(figures):
    f = lines(figures, suite="many-runs")[0]
    return f"{f['runs']} runs: at most {f['max_kib'] / 1024:.0f} MiB in all, {f['kept']} kept, the largest {f['max_run_kib'] / 1024:.1f} MiB"


def fuzz(*targets):
    def now(figures):
        found = [f for f in lines(figures, suite="fuzz") if not targets or f["target"] in targets]
        if not found:
            raise NotMeasured
        bad = sum(f["findings"] for f in found)
        return mark(bad == 0, f"{len(found)} targets, {sum(f['inputs'] for f in found)} inputs, {bad} findings, slowest "
                    f"{max(f['slowest_seconds'] for f in found):.1f} s, {max(f['max_kib'] or 0 for f in found) >> 10} MiB")
    return now


def mutants(figures):
    f = lines(figures, suite="mutants")[0]
    return mark(f["findings"] == 0, f"{f['mutants']} mutants, {f['accepted']} accepted: {f['findings']} panics, hangs or over 200 MiB; slowest "
                f"{f['slowest_seconds']:.1f} s, {f['max_kib'] >> 10} MiB")


SANDBOX, SERVERS = "the sandbox", "PostgreSQL and a real API server"
CLEANUP, PROCESSES, OTHERS, SECRETS = "tests/cleanup.rs", "tests/processes.rs", "tests/plans_from_others.rs", "tests/planted_secrets.rs"

SECTIONS = {
    "Verdicts": [
        Row("1: killed while a fault is in force, then the next run", "next run failed, exit 1 after 30 s", None,
            [(CLEANUP, "a_fault_that_a_killed_run_left_is_healed_by_the_next")]),
        Row("2: silent watch, `always` expects the old state", "4, 5, 6 s: passed", verdicts("silent watch, `always", "failed"),
            [("src/engine/tests/completeness.rs", "observes_once_more_where_reports_of_changes_can_cease")]),
        Row("2: silent watch, `eventually` expects the new state", "4, 5, 6 s: failed", verdicts("silent watch, `eventually", "passed"), []),
        Row("3: log command `yes`, `timeout: 3s`", "21.3 s, 1127 MB, journal 151 MB, passed", hostile("yes as the command of a log"), []),
        Row("3: JSON with 5 M keys, `limit: 1 GiB`", "16.2 s, 1091 MB, journal 128 MB, passed", hostile("JSON with 5 M keys, `limit: 1 GiB`"),
            [("src/engine/tests/in_flight.rs", "an_action_whose_work_overran_its_timeout_has_not_passed")]),
        Row("3: JSON list of 16 M numbers", "6.3 s, 1838 MB, journal 64 MB, passed", hostile("JSON list of 16 M numbers, 32 MB"), []),
        Row("3: log that grows 200 MB/s, `eventually: 6s`", "11.3 s, 2226 MB, journal 136 MB, failed", hostile("a log that grows 200 MB/s, eventually"), []),
        Row("3: nested CEL loops, case `timeout: 2s`", "never ends", hostile("a loop in CEL, `timeout: 2s` of its case"),
            [("src/expr/cel/budget_tests.rs", "everything_that_grows_is_stopped_by_its_steps_or_bytes")]),
    ],
    "What a run leaves": [
        Row("4: `kill -9`, what it leaves (min / median / max)", "sessions 3/14/29, templates 6/34/44, webhooks 0/8/8, undos 15/78/109",
            chaos(SANDBOX, "left"), []),
        Row("4: `kill -9`, then `cleanup`", "no command; 27 sessions and 41 templates stay", chaos(SANDBOX, "after"),
            [(CLEANUP, "what_a_killed_run_made_is_listed_by_its_names_and_undone_once")]),
        Row("4: the same on PostgreSQL and a real API server", "not measured", chaos(SERVERS, "after"), []),
        Row("4: a cleanup that is killed", "no command", None, [(CLEANUP, "a_cleanup_that_is_killed_is_done_by_the_next")]),
        Row("5: SIGINT", "13 of 13 exit 130, 0 left, 0.2 to 2.5 s", interrupts("SIGINT"), []),
        Row("5: SIGTERM", "12 of 12 exit 130, 0 left", interrupts("SIGTERM"), []),
        Row("5: SIGHUP", "dies, no report, 8 to 17 sessions left", interrupts("SIGHUP"),
            [(PROCESSES, "a_hang_up_stops_a_run_in_order_unless_it_is_ignored")]),
        Row("5: SIGINT twice", "no report, 6 to 85 undos open, names not rendered", interrupts("SIGINT twice"), []),
        Row("5: closed or full stdout and stderr", "exit 0, 0 left", None, [("tests/cli/streams.rs", "unwritable_streams_do_not_change_the_exit_code")]),
        Row("5: limit of the file size (SIGXFSZ)", "killed, 13 sessions left", None,
            [(PROCESSES, "a_write_above_the_limit_of_the_file_size_is_an_error_and_ends_no_process")]),
        Row("6: programs after SIGKILL", "1 left each time", None, [(PROCESSES, "no_process_outlives_a_runner_that_is_killed")]),
        Row("6: programs after a second Ctrl-C", "1 left each time", None, [(PROCESSES, "a_second_signal_kills_the_programs_before_the_runner_exits")]),
        Row("6: background child of a log command", "1 left", None, [("src/executors/logs/tests.rs", "child_processes_of_a_program_are_killed")]),
        Row("6: process trees of `exec`", "0 left", None, [("src/executors/exec/tests.rs", "child_processes_are_killed")]),
        Row("7: folders of killed sandboxes", "5 after 5 ends, never removed", host("sandboxes are killed"), []),
    ],
    "Misbehaving peers": [
        Row("8: 94 deliveries of 7 MB", "> 90 s, journal 8.3 GB", hostile("94 deliveries of 7 MB"),
            [("src/executors/webhook/tests.rs", "deliveries_beyond_the_limit_are_counted_and_not_kept")]),
        Row("8: 20,000 deliveries of 100 bytes", "19.4 s, 1.3 GB, journal 718 MB", hostile("20,000 deliveries of 100 bytes"),
            [("src/executors/webhook/tests.rs", "a_flood_of_deliveries_needs_few_attempts")]),
        Row("9: server-sent event without an end", "abort after 5.5 s, other undos not done", hostile("server-sent event without an end"),
            [("src/executors/http/tests/response.rs", "an_event_without_end_is_cut_at_the_limit")]),
        Row("9: line of a watch without an end", "1.4 GB in 5 s", hostile("event of a watch without an end"),
            [("src/executors/apiserver/body.rs", "reads_lines_up_to_the_limit")]),
        Row("9: list of a cluster without an end", "without limit (by reading)", hostile("list of a cluster without an end"),
            [("tests/executor_k8s/pages.rs", "a_list_beyond_the_limit_is_partial")]),
        Row("9: `include` of `/dev/zero`", "1.6 GB in 5 s", None, [("src/file.rs", "reads_no_more_than_the_limit"),
                                                               (OTHERS, "refuses_files_outside_of_the_project_before_anything_is_read_or_written")]),
        Row("9: database row of 100 MB", "584 MB", hostile("a row of 100 MB"), [("tests/executor_db/sqlite.rs", "rows_beyond_the_limit_are_counted_and_not_kept")]),
        Row("9: 32 MiB of NULs", "journal 201 MB", hostile("40 MB of zero bytes"), []),
        Row("9: gzip bomb of 10 MB", "724 MB, 0.8 s", hostile("gzip bomb of 10 MB"), [("src/executors/http/decode.rs", "decodes_no_more_than_the_limit")]),
        Row("9: gzip bomb of 10 MB, `limit: 2 GiB`", "6.2 GB, abort", hostile("gzip bomb of 10 MB, `limit: 2 GiB`"), []),
        Row("10: folder of thirty runs", "783 MB to 1.5 GB, never pruned", many_runs, [(CLEANUP, "old_finished_runs_are_removed_and_unfinished_ones_are_kept")]),
        Row("10: read-only folder", "exit 5", host("disk is read-only"), [(CLEANUP, "runs_are_recorded_where_they_are_told")]),
    ],
    "Security": [
        Row("11: files of the sandbox, kubeconfigs, env file", "0644, another user reads the token", None,
            [(PROCESSES, "only_the_user_may_read_what_a_run_or_a_sandbox_writes_beside_its_report")]),
        Row("12: journals and evidence", "0644 in 0755", None, [(SECRETS, "files_and_folders_are_private")]),
        Row("12: planted secrets", "9 of 9 declared ones masked, 9 kinds of undeclared ones in clear", None,
            [(SECRETS, "no_planted_secret_is_printed_recorded_passed_on_or_left_behind"), (SECRETS, "the_search_finds_one_place_that_is_not_masked")]),
        Row("13: paths outside of the project", "written and read without a word", None,
            [(OTHERS, "refuses_files_outside_of_the_project_before_anything_is_read_or_written")]),
        Row("13: `$schema: { file: /etc/passwd }`", "first line printed by `check`", None, [(OTHERS, "quotes_no_file_that_is_neither_a_plan_nor_a_schema")]),
        Row("13: `exec` and other hosts", "performed", None, [(OTHERS, "exec_needs_an_environment_or_an_argument_that_allows_it"),
                                                          (OTHERS, "refuses_hosts_that_are_no_target_also_of_redirects_and_placeholders")]),
        Row("13: `attach` and `vacuum into` of SQLite", "not measured", None,
            [(OTHERS, "statements_of_sqlite_open_only_files_of_the_project"), (OTHERS, "scripts_of_sqlite_open_only_files_of_the_project")]),
        Row("13: `protected` environment", "report written anywhere", None,
            [(OTHERS, "a_path_is_allowed_by_an_argument_or_the_environment_and_never_where_it_is_protected")]),
    ],
    "Hostile files": [
        Row("E: changed copies of all files", "9,500: 0 panics, 5 hung, 12 over 5 s, 417 MB", mutants, []),
        Row("E: each reader", "not measured", fuzz(), []),
        Row("14: 50,000 / 100,000 / 200,000 spaces in an expression", "3.8 / 9.8 / > 25 s", reading("spaces in an expression"), []),
        Row("14: as many keys in `expect`", "> 25 s", reading("keys of a map in `expect`"), []),
        Row("14: as many unknown keys", "not measured", reading("unknown keys"), [("src/cli/plans.rs", "of_very_many_problems_the_first_errors_are_shown")]),
        Row("14: as many placeholders in one text", "> 25 s", reading("placeholders in one text"), []),
        Row("14: 2,500 / 5,000 / 10,000 cases", "4.3 / 13 / > 25 s", reading("cases"), []),
        Row("14: 0.75 / 1.5 / 3 MB of empty lines", "14 to 20 s", reading("bytes of empty lines"), []),
        Row("14: 0.75 / 1.5 / 3 MB of `a+`", "11.6 s, 6 MB of output", reading("bytes of `a+` in an expression"),
            [("tests/no_panic.rs", "a_diagnostic_shows_the_part_of_a_long_line_around_its_place")]),
        Row("14: CEL `distinct`, `range`", "4.6 s; 665 MB", None, [("src/expr/cel/budget_tests.rs", "everything_that_grows_is_stopped_by_its_steps_or_bytes")]),
        Row("15: journals cut at any byte", "120 of 120 rendered; torn in the middle: exit 2; 1.3 s, 273 MB for 51 MB", host("journals are cut at any byte"),
            [("src/journal/lines.rs", "damaged_lines_are_left_out_and_named_unless_nothing_else_is_there")]),
        Row("15: folder of the runs is removed midway", "exit 0, passed, nothing recorded", host("folder of the runs is removed midway"),
            [(CLEANUP, "a_run_whose_folder_is_removed_is_not_recorded")]),
    ],
    "What held before": [
        Row("disk of 3 MB becomes full", "exit 5, 0 left, no report", host("disk of 3 MB becomes full"), []),
        Row("disk is full", "exit 5, 0 left", host("disk is full"), []),
        Row("disk has 100 kB left", "exit 5, 0 left", host("disk has 100 kB left"), []),
        Row("two runs at once in one folder", "both passed, own journals, 0 left", host("two runs at once in one folder"), []),
        Row("HTTP servers that break the protocol", "22 of 22 within 0.2 s of `timeout`, at most 62 MB", hostile_group("HTTP: "), []),
        Row("body without an end", "275 MB", hostile("body without an end"), [("src/executors/http/tests/response.rs", "cuts_the_body_at_the_limit_and_notes_it")]),
        Row("TLS: garbage, silence", "within 0.2 s of `timeout`", hostile_group("TLS: "), []),
        Row("watch: floods, garbage, closed at once", "at most 103 MB, journal 142 MB", hostile_group("watch: "), []),
        Row("PostgreSQL: silent, closed, garbage, 2 GB, notices", "8 of 8 errored within 3.2 s, at most 173 MB", hostile_group("PostgreSQL: "),
            [("tests/executor_db/hostile_servers.rs", "servers_that_send_too_much_are_left_at_once")]),
        Row("MySQL: packets without an end", "not measured", hostile_group("MySQL: "),
            [("tests/executor_db/hostile_servers.rs", "servers_that_send_too_much_are_left_at_once")]),
        Row("PostgreSQL: statement that runs long", "cancelled on the server", None, [("tests/executor_db/cancel.rs", "postgres_cancels_a_dropped_statement")]),
        Row("1e8 rows", "3.0 to 3.2 s, at most 173 MB", hostile("1e8 rows"), []),
        Row("malformed requests to the sandbox", "0 panics, 0 hangs", None, [("sandbox/tests/cluster.rs", "survives_malformed_requests")]),
        Row("listeners of the sandbox", "4, all on 127.0.0.1", host("listeners of the sandbox"), []),
        Row("panic in an action", "not measured", None, [("src/engine/tests/panics.rs", "a_panic_in_the_first_attempt_errors_the_action")]),
    ],
}
