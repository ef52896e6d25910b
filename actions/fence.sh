#!/usr/bin/env bash
# Hand the step over to the Model Gates that install.sh put at $GATES_PYTHON:
#
#   exec "$GITHUB_ACTION_PATH/actions/fence.sh" run …
#
# What is printed holds names out of the data; on a line of its own, one could be a command to the
# runner. So the runner stops listening for the rest of this step, which is until it reads a token
# that nobody can guess; and there is one stream, lest the other overtake it.

set -Eeuo pipefail
trap 'exit 4' ERR

fence="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
# Who holds the job's token may speak to the runner, to warn of what went wrong. `run` may not: what
# it starts could read the fence in its environment.
if [[ "$1" == report || "$1" == canary ]]; then
  export MODEL_GATES_FENCE="$fence"
fi
printf '::stop-commands::%s\n' "$fence"
exec "$GATES_PYTHON" -I -m gates "$@" 2>&1
