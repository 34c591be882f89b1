#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes next week's tables for every harbour and copies them to the web folder.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
target=${1:?usage: publish.sh FOLDER}
first=$(date -u +%F)

for station in ferrow saltholm brannock; do
    # A half-written table is worse than an old one: write beside it, then rename.
    draft=$(mktemp "$target/.$station.XXXXXX")
    if (cd "$here" && python3 -m tidetable.cli "$station" "$first" --days 7 --json) > "$draft"; then
        chmod 644 "$draft"
        mv "$draft" "$target/$station.json"
        echo "published $station"
    else
        rm -f "$draft"
        echo "publish.sh: no table for $station" >&2
    fi
done
