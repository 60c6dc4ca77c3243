#!/bin/bash
# Runs the commands of the README's code blocks marked `sh run`; a line that fails, fails the test.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
export PATH="$PWD/target/debug:$PATH" XDG_STATE_HOME
XDG_STATE_HOME=$(mktemp -d)
trap 'rm -rf "$XDG_STATE_HOME"' EXIT
commands=$(awk '/^```sh run/{on=1;next} /^```/{on=0} on' README.md)
[ -n "$commands" ] || { echo "the README has no commands to run"; exit 1; }
passed=0
while IFS= read -r line; do
  [ -n "$line" ] || continue
  echo "\$ $line"
  bash -o pipefail -c "$line" > "$XDG_STATE_HOME/out" 2>&1 || { cat "$XDG_STATE_HOME/out"; echo "failed: $line"; exit 1; }
  passed=$((passed + 1))
done <<< "$commands"
echo "$passed passed, 0 failed"
