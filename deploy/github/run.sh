#!/usr/bin/env bash
# Works on one run of a job for as long as a hosted machine may be used: run.sh SECONDS FLAGS...
# Where the time is up the training saves its state, and that is a success: the next night goes on.
set -euo pipefail
seconds=$1
shift

# In the foreground: else timeout signals the whole process group, so that the training gets the
# signal twice, once through `deno task`, and the second one ends it without saving.
status=0
timeout --foreground --signal=TERM --kill-after=300 "$seconds" \
  deno task reproduce "$@" || status=$?
if [[ $status == 124 ]]; then
  echo "stopped after $seconds s; the next call goes on"
  status=0
fi
exit "$status"
