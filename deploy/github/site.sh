#!/usr/bin/env bash
# Makes the site out of the night's reports: site.sh REPORTS SITE CHANGES.md. Prints the step's output.
# Needs gh with a token that may read the repository's page.
set -euo pipefail
reports=$1 site=$2 changes=$3

for place in gpu cpu; do # the artifacts are named PLACE-report
  if [[ -d $reports/$place-report ]]; then mv "$reports/$place-report" "$reports/$place"; fi
done
published=$(gh api "repos/$GITHUB_REPOSITORY/pages" --jq .html_url)
deno run -q --allow-read --allow-write --allow-net="$(cut -d/ -f3 <<<"$published")" \
  deploy/github/publish.ts --reports "$reports" --places gpu,cpu --published "$published" \
  --site "$site" --changes "$changes"
# The audit as a page; what is printed belongs to no output of the step.
deno task -q web:build --out "$PWD/$site/audit" >&2
