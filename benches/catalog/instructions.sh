#!/bin/sh
# Instructions an exchange by callgrind, with 1,000 endpoints and with 100,000: what does not hang on
# caches and on whatever else the machine does. Takes the bench's program; some five minutes.
set -eu
bench=$1
calls=5000
out=$(mktemp)
trap 'rm -f "$out"' EXIT
command -v valgrind >/dev/null || { echo "NOTE: instructions NOT counted: there is no valgrind" >&2; exit 0; }

count() { # of one function with all that it calls, an exchange
    callgrind_annotate --inclusive=yes --threshold=100 "$out" 2>/dev/null |
        awk -v name="scale::$1 " -v calls=$calls 'index($0, name) && /^ *[0-9]/ { gsub(",", "", $1); print int($1 / calls); exit }'
}

echo "endpoints spec | instructions an exchange: even, skewed"
for size in "1000 1000 $calls 0" "100000 1000 $calls 0" "1000 1000 $calls 1" "100000 1000 $calls 1"; do
    SIZE="$size" ONLY_CALLS=1 valgrind --tool=callgrind --collect-atstart=no \
        --toggle-collect='*scale::evenly*' --toggle-collect='*scale::skewed*' \
        --callgrind-out-file="$out" "$bench" >/dev/null 2>&1
    set -- $size
    echo "$1 $4 | $(count evenly) $(count skewed)"
done
