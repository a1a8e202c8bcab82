#!/usr/bin/env bash
# Writes the plan that $ARCHS, $SEEDS and $ITERATIONS ask for, or keeps the one that a cache brought
# along, with the revision that wrote it: plan.sh FOLDER. Prints the step's outputs.
set -euo pipefail
folder=$1

job=$(deno task -q reproduce --plan-only --json \
  --archs "$ARCHS" --seeds "$SEEDS" --iterations "$ITERATIONS" --out "$folder")
if [[ ! -f $folder/REVISION ]]; then git rev-parse HEAD >"$folder/REVISION"; fi
echo "job=$job"
echo "revision=$(<"$folder/REVISION")"
