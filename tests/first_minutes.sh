#!/usr/bin/env bash
# Follows a page as a new user, its commands word for word and in their order, in one shell that has nothing of ours in its
# environment. Each must work (1 means that kernel faults were found).
#   tests/first_minutes.sh          the README and its Chinese start page, in a fresh clone of this checkout
#   tests/first_minutes.sh wheel    docs/start.md, in an empty folder that holds the wheel; as root the checkout is hidden. It ends
#                                   with an incident in Chromium, within five minutes.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mode=${1:-clone} folder=$work/folder pages=(README.md docs/zh.md)
if [ "$mode" = wheel ]; then
  pages=(docs/start.md)
  mkdir "$folder"
  "$root/.venv/bin/python" -m hatchling build -t wheel -d "$folder" > "$work/build" 2>&1 || { cat "$work/build" >&2; exit 1; }
else
  git clone --quiet "$root" "$folder"
fi
awk '/^```(sh|console)$/ { kind = substr($0, 4); next } /^```$/ { kind = ""; next }
  kind == "sh" { print } kind == "console" && sub(/^[$] /, "") { print }' "${pages[@]/#/$root/}" > "$work/commands"
{
  # shellcheck disable=SC2016  # the script that is written expands these
  echo 'cd "$1"'
  while IFS= read -r command; do
    # shellcheck disable=SC2016  # the same
    printf 'echo %q >&2\n%s\nstatus=$?; [ $status -le 1 ] || { echo "exit $status" >&2; exit 1; }\n' "\$ $command" "$command"
  done < "$work/commands"
} > "$work/script"
if [ "$mode" = wheel ]; then
  # Everybody waits for the pages, then looks.
  cat >> "$work/script" << 'LOOK'
trap 'kill %1' EXIT
for _ in $(seq 60); do
  python -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:8470/healthz")' 2> /dev/null && break
  kill -0 %1 || exit 1
  sleep 1
done
browser=$(command -v chromium || command -v chromium-browser)
incident=$(oopswatch incidents list --store history.db --csv | sed -n '2s/,.*//p')
"$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$PWD/browser" --dump-dom "http://127.0.0.1:8470/incidents/$incident" > page.html 2> browser.log
grep -q '<h1' page.html && grep -q 'Attempt to release TCP socket' page.html || { cat browser.log page.html >&2; exit 1; }
LOOK
fi
# Where packages come from is the machine's affair, and so are the caches of pip.
run=(env -i HOME="$HOME" PATH="$(getconf PATH):/usr/local/bin:$(dirname "$(command -v python3)")"
  ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} bash "$work/script" "$folder")
# shellcheck disable=SC2016  # the inner shell expands these
hidden='mount -t tmpfs none "$0" && cd / && exec "$@"'
if [ "$mode" = wheel ] && unshare --mount true 2> /dev/null; then
  run=(unshare --mount bash -c "$hidden" "$root" "${run[@]}")
fi
SECONDS=0
(cd / && "${run[@]}") > "$work/output"
echo "$(wc -l < "$work/commands") commands of ${pages[*]} work as they stand, in $SECONDS s"
if [ "$mode" = wheel ]; then
  echo "an incident stands in the browser"
  [ "$SECONDS" -le 300 ] || { echo "longer than five minutes" >&2; exit 1; }
fi
