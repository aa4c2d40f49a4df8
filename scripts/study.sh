#!/bin/sh
# Every run of a published study on one dataset, by one sweep:
#
#   sh scripts/study.sh roth2020/cub200 seed=0,1,2,3,4
#   sh scripts/study.sh musgrave2020/cars196 validation.index=0,1,2,3 "seed=range(10)"
#
# The first argument is a folder of conf/experiment, the others are those of main.py. The same
# command again goes on where it was interrupted; docs/sweeps.md.
set -eu
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
study=$1
shift
cd "$(dirname "$0")/.."
[ -d "conf/experiment/$study" ] || { echo "error: there is no folder conf/experiment/$study" >&2; exit 2; }
experiments=$(cd conf/experiment && ls "$study"/*.yaml | sed 's/\.yaml$//' | paste -sd, -)
exec python main.py -m "experiment=$experiments" "$@"
