#!/bin/bash
# Makes the workloads of ../shared/bench (once) and prints apitap beside the floor and the peers.
# Needs root, nginx, wrk, tcpdump, ethtool, iproute2, nghttp2-client, time. Environment: WORK, MB, RUNS.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
bench=$here/../../shared/bench
[ -d "$bench" ] || { echo "SKIPPED: $bench is absent"; exit 0; }
work=${WORK:-/tmp/apitap-bench}
packages="libpcap-dev gcc nginx-light wrk tcpdump ethtool iproute2 nghttp2-client time"
dpkg -s $packages >/dev/null 2>&1 || { apt-get update -qq; apt-get install -y -qq $packages; }
mkdir -p "$work"
[ -s "$work/bulk.pcap" ] || "$bench/make_workloads.sh" "$work" "${MB:-300}"
apitap=$here/../target/release/apitap
out=$(mktemp)
trap 'rm -f "$out"' EXIT
echo "machine: $(nproc) cores, $(date -u +%F)"
EXTRA="apitap|$apitap read {} --format exchanges --no-mask -o $out|grep -c '\"status\":' $out" "$bench/peers.sh" "$work" small mixed bulk
echo
echo "bytes a record: $(awk '{n+=length($0)+1} END{if(NR)print int(n/NR)}' "$out")"
EXTRA="apitap-full|$apitap read {} --format summary -o $out|awk '/exchanges from/{print \$1}' $out" ONLY='libpcap-noop|apitap-full' "$bench/peers.sh" "$work" small mixed bulk
