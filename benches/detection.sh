#!/bin/bash
# The labelled scenarios of ../shared/detection. Environment: SEEDS ("1 2 3 4 5"), SCALE (3), STRENGTH (1).
set -euo pipefail
here=$(dirname "$(realpath "$0")")
folder=$here/../../shared/detection
[ -d "$folder" ] || { echo "SKIPPED: $folder is absent"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for seed in ${SEEDS:-1 2 3 4 5}; do
  python3 "$folder/scenario.py" --seed "$seed" --scale "${SCALE:-3}" --strength "${STRENGTH:-1}" --out "$work/s" >/dev/null
  zcat "$work/s.exchanges.jsonl.gz" | "$here/../target/release/apitap" analyze - --format alerts > "$work/alerts"
  echo "seed $seed"
  python3 "$folder/score.py" "$work/s" "$work/alerts"
done
