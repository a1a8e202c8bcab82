#!/usr/bin/env bash
# Opens an issue on changed verdicts, or adds to the one that is open: issue.sh FILE.md
# Needs gh with a token that may write issues, and GH_REPO.
set -euo pipefail
body=$1 label=verdict

number=$(gh issue list --state open --label "$label" --limit 1 --json number --jq '.[].number')
if [[ -n $number ]]; then
  gh issue comment "$number" --body-file "$body"
else
  gh label create "$label" --force --description "A verdict against Table 6 changed"
  gh issue create --label "$label" --title "A verdict against Table 6 changed" --body-file "$body"
fi
