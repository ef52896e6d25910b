#!/usr/bin/env bash
# Judge, as the last thing an action does: its inputs are in the environment, as CONFIG, OUT, MODELS
# and GATES (names, one a line), and CHANGED_SINCE.

set -Eeuo pipefail
trap 'exit 4' ERR

arguments=("--config=$CONFIG" "--out=$OUT" --github)
while IFS= read -r name; do [[ -z "$name" ]] || arguments+=("--model=$name"); done <<<"$MODELS"
while IFS= read -r name; do [[ -z "$name" ]] || arguments+=("--gate=$name"); done <<<"$GATES"
[[ -z "${CHANGED_SINCE:-}" ]] || arguments+=("--changed-since=$CHANGED_SINCE")
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
exec "$here/fence.sh" run "${arguments[@]}"
