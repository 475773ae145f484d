#!/usr/bin/env bash
# Follows the README as a new user: clones this checkout, and runs the commands of its sh and console blocks in their order,
# word for word, in one shell that has nothing of ours in its environment. Each must work (1 means that kernel faults were found).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet "$root" "$work/oopswatch"
awk '/^```(sh|console)$/ { kind = substr($0, 4); next } /^```$/ { kind = ""; next }
  kind == "sh" { print } kind == "console" && sub(/^[$] /, "") { print }' "$work/oopswatch/README.md" > "$work/commands"
{
  # shellcheck disable=SC2016  # the script that is written expands these
  echo 'cd "$1"'
  while IFS= read -r command; do
    # shellcheck disable=SC2016  # the same
    printf 'echo %q >&2\n%s\nstatus=$?; [ $status -le 1 ] || { echo "exit $status" >&2; exit 1; }\n' "\$ $command" "$command"
  done < "$work/commands"
} > "$work/script"
# Where packages come from is the machine's affair, and so are the caches of pip.
env -i HOME="$HOME" PATH="$(getconf PATH):/usr/local/bin:$(dirname "$(command -v python3)")" ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
  bash "$work/script" "$work/oopswatch" > "$work/output"
echo "$(wc -l < "$work/commands") commands of the README work as they stand"
