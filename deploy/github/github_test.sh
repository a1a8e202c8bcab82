#!/usr/bin/env bash
# Runs run.sh and issue.sh with programs in the place of deno and gh that write down their calls.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/deno" <<'END'
#!/usr/bin/env bash
# As deno task: passes the signal that it gets on to the training.
echo "$*" >>"$LOG"
if [[ "$*" == *plan-only* ]]; then echo '{"runs":[{"index":0}]}' && exit; fi
if [[ -n ${ENDS:-} ]]; then exit "$ENDS"; fi
bash -c 'trap "echo signalled >>\"$LOG\"" TERM; for _ in {1..20}; do sleep 0.1; done' &
trap 'kill -TERM $!' TERM
wait || wait
exit 143
END
cat >"$folder/gh" <<'END'
#!/usr/bin/env bash
echo "$1 $2${3:+ $3}" >>"$LOG"
if [[ "$1 $2" == "issue list" ]]; then echo "${OPEN:-}"; fi
END
chmod +x "$folder/deno" "$folder/gh"
export LOG=$folder/log PATH=$folder:$PATH

# Runs the rest of the arguments; compares status and log.
expect() {
  local status=$1 log=$2 found=0
  shift 2
  : >"$LOG"
  "$@" >/dev/null || found=$?
  if [[ $found != "$status" || $(<"$LOG") != "$log" ]]; then
    echo "$*: expected status $status and log '$log', found $found and '$(<"$LOG")'" >&2
    exit 1
  fi
}

expect 0 $'task reproduce --index 2\nsignalled' "$here/run.sh" 1 --index 2
ENDS=0 expect 0 "task reproduce" "$here/run.sh" 1
ENDS=1 expect 1 "task reproduce" "$here/run.sh" 1
expect 0 $'issue list --state\nlabel create verdict\nissue create --label' "$here/issue.sh" body.md
OPEN=12 expect 0 $'issue list --state\nissue comment 12' "$here/issue.sh" body.md

export ARCHS=resnet20,resnet32 SEEDS=5 ITERATIONS=64000
job=$folder/job
mkdir "$job"
asked="task -q reproduce --plan-only --json --archs $ARCHS --seeds 5 --iterations 64000 --out $job"
revision=$(git rev-parse HEAD)
outputs() { "$here/plan.sh" "$job" | tee "$folder/outputs" && diff - "$folder/outputs" <<<"$1"; }
expect 0 "$asked" outputs $'job={"runs":[{"index":0}]}\nrevision='"$revision"
echo 0123abc >"$job/REVISION" # as the night before left it
expect 0 "$asked" outputs $'job={"runs":[{"index":0}]}\nrevision=0123abc'
echo "github/*.sh: 7 cases pass"
