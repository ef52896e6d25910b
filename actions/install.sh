#!/usr/bin/env bash
# Install Model Gates for the rest of the job, and print the path of its Python.
#
#   python="$("$GITHUB_ACTION_PATH/actions/install.sh" [REQUIREMENTS [PYTHON [OPTION…]]])"
#   exec "$python" -I -m gates run …
#
# REQUIREMENTS names files in actions/requirements (default: all), or is `auto`: what the
# configuration needs and no more, as `model-gates extras OPTION…` tells once `core` is there.
# PYTHON is the interpreter to build on (default: the first on PATH that is new enough). Standard
# output is the one path, everything else goes to standard error. Exit code 4, as everywhere, says
# that the surroundings are at fault.
#
# Nothing is built. Building the checkout would need a build back end, and pip fetches that without
# a hash; so the locked wheels go into a virtual environment of their own, and a .pth file puts the
# checkout behind them on the import path. What runs is then what the action's commit and the locks
# say, and the caller's own Python environment is neither used nor changed.

set -Eeuo pipefail
# Any other failure here (a full disk, say) must not exit with 1, which means "blocked by a verdict".
trap 'exit 4' ERR

readonly requirements="${1:-all}"
readonly wanted="${2:-}"
readonly options=("${@:3}")
root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
readonly root
readonly locks="$root/actions/requirements"

# A message may quote an argument: escaped, it cannot start a workflow command of its own.
fail() {
  local text="$1"
  if [[ "${GITHUB_ACTIONS:-}" == true ]]; then
    text="${text//'%'/%25}"
    text="${text//$'\r'/%0D}"
    text="${text//$'\n'/%0A}"
    printf '::error title=Model Gates::%s\n' "$text" >&2
  else
    printf 'model-gates: %s\n' "$text" >&2
  fi
  exit 4
}

is_new_enough() {
  "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local candidate
  if [[ -n "$wanted" ]]; then
    is_new_enough "$wanted" || fail "$wanted is not a Python of 3.11 or newer."
    printf '%s\n' "$wanted"
    return
  fi
  for candidate in python3 python python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "No Python of 3.11 or newer is on PATH. Put actions/setup-python before this step."
}

# Other locks, another interpreter or checkout is another environment: two versions of the action
# in one job do not meet.
fingerprint() {
  "$1" -I - "$locks" "$root" <<'PYTHON'
import hashlib, pathlib, sys

locks, root = sys.argv[1:]
facts = [lock.read_bytes() for lock in sorted(pathlib.Path(locks).glob("*.txt"))]
facts += [root.encode(), sys.executable.encode(), sys.version.encode()]
print(hashlib.sha256(b"\0".join(facts)).hexdigest()[:20], end="")
PYTHON
}

# Git Bash would come far, and then nothing could be started as POSIX has it.
refuse_windows() {
  case "$(uname -s)" in
    CYGWIN* | MINGW* | MSYS* | Windows*)
      fail "Model Gates does not run on Windows: use a job with 'runs-on: ubuntu-latest'." ;;
    *) ;;
  esac
}

python_of() {
  printf '%s\n' "$1/bin/python"
}

is_lock() {
  [[ "$1" =~ ^[a-z-]+$ && -f "$locks/$1.txt" ]]
}

make_environment() {
  local python="$1" venv="$2"
  mkdir -p -- "${venv%/*}" || fail "RUNNER_TEMP cannot be written to."
  rm -rf -- "$venv"
  "$python" -I -m venv "$venv" >&2 ||
    fail "This Python cannot make a virtual environment; on Debian and Ubuntu, install python3-venv."
  "$(python_of "$venv")" -I - "$root" <<'PYTHON'
import pathlib, sys, sysconfig

pathlib.Path(sysconfig.get_path("purelib"), "model_gates.pth").write_text(sys.argv[1] + "\n", "utf-8")
PYTHON
}

# What pip downloads is held against the lock, and so is what lies in its cache of downloads. A
# wheel in its cache of *built* wheels only claims a hash; whoever ran before us on this machine can
# have put it there. So pip is shown the downloads and nothing else.
cache_of() {
  local venv="$1" shared
  mkdir -p -- "$venv/cache"
  if shared="$("$(python_of "$venv")" -I -m pip cache dir 2>/dev/null)" &&
    mkdir -p -- "$shared/http-v2" 2>/dev/null; then
    [[ -e "$venv/cache/http-v2" ]] || ln -s -- "$shared/http-v2" "$venv/cache/http-v2"
  fi
  printf '%s\n' "$venv/cache"
}

# The locks agree on every version, so what one adds to another disturbs nothing.
need() {
  local venv="$1" name inside missing=() asked=()
  shift
  for name in "$@"; do
    [[ -f "$venv/.has-$name" ]] && continue
    missing+=("$name")
    asked+=(--requirement "$locks/$name.txt")
  done
  ((${#missing[@]})) || return 0
  inside="$(python_of "$venv")"
  # Not compiled: a job imports a part of it, once, and Python compiles that as it goes. Compiling
  # all of it took as long again as the rest of the installation.
  "$inside" -I -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
    --only-binary :all: --no-compile --cache-dir "$(cache_of "$venv")" "${asked[@]}" >&2 ||
    fail "The locked requirements could not be installed; the lines above say why."
  # Python exits with 1 when an import fails, and 1 means "blocked by a verdict": it must not come
  # to that. (A job's PIP_TARGET, for one, sends the wheels elsewhere.)
  "$inside" -I -m gates --version >/dev/null ||
    fail "Model Gates was installed and does not start; the lines above say why."
  # Every lock holds what core holds.
  for name in core "${missing[@]}"; do touch -- "$venv/.has-$name"; done
}

# A configuration that is wrong is for `run` to tell, in a report; core is enough for that. What a
# refusal prints would quote it here, where the runner listens.
extras() {
  "$(python_of "$1")" -I -m gates extras ${options[@]+"${options[@]}"} 2>/dev/null || printf 'core\n'
}

main() {
  local python venv name extra told names=()
  refuse_windows
  read -r -d '' -a names <<<"$requirements" || true
  ((${#names[@]})) || names=(auto)
  for name in "${names[@]}"; do
    [[ "$name" == auto ]] || is_lock "$name" ||
      fail "There is no lock for the requirements '$requirements'."
  done
  # Elsewhere the folder for temporary files is shared, and someone else could prepare the place.
  [[ -n "${RUNNER_TEMP:-}" ]] ||
    fail "RUNNER_TEMP is not set: this script is for a workflow's job; elsewhere, use pip."
  python="$(find_python)"
  venv="$RUNNER_TEMP/model-gates/$(fingerprint "$python")"
  [[ -f "$venv/.has-core" ]] || make_environment "$python" "$venv"
  for name in "${names[@]}"; do
    need "$venv" "${name/#auto/core}"
    [[ "$name" == auto ]] || continue
    told="$(extras "$venv")"
    for extra in $told; do
      is_lock "$extra" || fail "The configuration needs '$extra', for which there is no lock."
      need "$venv" "$extra"
    done
  done
  python_of "$venv"
}

main
