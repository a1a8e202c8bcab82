#!/usr/bin/env bash
# Runs reproduce.sbatch with a training and a scontrol that only write down what happens to them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Saves for a second after TERM, as the training does; ends by itself with status $ENDS if it is set.
cat >"$folder/deno" <<'END'
#!/usr/bin/env bash
echo "begun $*" >>"$LOG"
if [[ -n ${ENDS:-} ]]; then exit "$ENDS"; fi
trap 'sleep 1; echo saved >>"$LOG"; exit 143' TERM
while :; do sleep 0.1; done
END
cat >"$folder/scontrol" <<'END'
#!/usr/bin/env bash
echo "scontrol $*" >>"$LOG"
END
chmod +x "$folder/deno" "$folder/scontrol"
export LOG=$folder/log DENO=$folder/deno JOB=/shared/job PATH=$folder:$PATH
export SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_JOB_ID=77

# Sends a signal, if any, to the script once the training has begun; compares status and log.
expect() {
  local signal=$1 status=$2 log=$3 found=0
  : >"$LOG"
  bash "$here/reproduce.sbatch" &
  local script=$!
  if [[ -n $signal ]]; then
    until [[ -s $LOG ]]; do sleep 0.1; done
    kill "-$signal" "$script"
  fi
  wait "$script" || found=$?
  log="begun task reproduce --plan /shared/job/plan.json --out /shared/job --index 3 --engine webgpu$log"
  if [[ $found != "$status" || $(<"$LOG") != "$log" ]]; then
    echo "after signal ${signal:-none}: expected status $status and log '$log', found $found and '$(<"$LOG")'" >&2
    exit 1
  fi
}

expect USR1 143 $'\nsaved\nscontrol requeue 77_3'
expect TERM 143 $'\nsaved'
ENDS=0 expect "" 0 ""
ENDS=1 expect "" 1 ""
(unset JOB; ! bash "$here/reproduce.sbatch" 2>/dev/null)
echo "slurm/reproduce.sbatch: 5 cases pass"
