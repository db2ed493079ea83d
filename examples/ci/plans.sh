#!/bin/sh
# Runs test plans in a CI job, and ends with the exit code of the gate.
#
#   plans.sh run ARTEFACTS [PLAN or flag of `tp-runner run`]...
#       runs plans
#   plans.sh merge ARTEFACTS RUN...
#       merges runs that each performed a part of the cases, and gates them as one
#
# ARTEFACTS is the folder that the job keeps:
#   reports/    for people (Markdown, HTML) and for CI servers (JUnit, CTRF)
#   runs/       the journals, from which `tp-runner report` writes every report again
#
# Variables: TP_RUNNER (the program, default `tp-runner`), TP_FORMATS (default `junit,ctrf,html`).
set -u

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

# Says what an exit code of the gate means: docs/exit-codes.md
explain() {
    case $1 in
    0) echo "gate: passed" ;;
    1) echo "gate: failed; the product responded wrongly, see $artefacts/reports" ;;
    2) echo "gate: not run; the plan, the environment or the arguments are wrong" ;;
    3) echo "gate: undecided; the product could not be asked, or the environment lacks something" ;;
    4) echo "gate: undecided; nothing was selected" ;;
    5) echo "gate: undecided; the run could not be recorded, or a report not written" ;;
    130) echo "gate: interrupted; what the run made is undone" ;;
    *) echo "gate: undecided; tp-runner was killed (exit code $1)" ;;
    esac
}

[ $# -ge 2 ] || usage
command=$1 artefacts=$2
shift 2
runner=${TP_RUNNER:-tp-runner}
formats=${TP_FORMATS:-junit,ctrf,html}
mkdir -p "$artefacts/reports" "$artefacts/runs" || exit 5

case $command in
run)
    # A cancelled job gets a signal: it is passed on, and the undo awaited.
    "$runner" run --runs-dir "$artefacts/runs" --report-dir "$artefacts/reports" --format "$formats" "$@" &
    child=$!
    trap 'kill -TERM "$child" 2> /dev/null' INT TERM HUP
    wait "$child"
    code=$?
    while kill -0 "$child" 2> /dev/null; do
        wait "$child"
        code=$?
    done
    # Of a killed run, `cleanup` undoes the rest; otherwise it finds nothing to do.
    if [ "$code" -gt 130 ]; then
        "$runner" cleanup --runs-dir "$artefacts/runs"
    fi
    ;;
merge)
    [ $# -ge 2 ] || usage
    "$runner" report "$@" --format "$formats" --output "$artefacts/reports/merged-report.md"
    code=$?
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$artefacts/reports/merged-report.md" ]; then
        cat "$artefacts/reports/merged-report.md" >> "$GITHUB_STEP_SUMMARY"
    fi
    ;;
*) usage ;;
esac
explain "$code"
exit "$code"
