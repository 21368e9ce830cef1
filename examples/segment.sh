#!/usr/bin/env bash
# POST a DICOM file, read score and regions, save the mask. Needs curl and jq.
#   ./segment.sh http://127.0.0.1:8000 mammogram.dcm mask.png
set -euo pipefail
[ $# = 3 ] || { echo "usage: $0 URL FILE MASK.png" >&2; exit 2; }
url=$1 file=$2 mask=$3
# curl would send an empty body, and --silent hides its warning.
[ -f "$file" ] && [ -r "$file" ] || { echo "$file is no file that can be read" >&2; exit 2; }
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# --retry repeats 503 (and 429, 502, 504) after as many seconds as Retry-After says.
status=$(curl --silent --show-error --retry 5 --retry-max-time 60 --max-time 120 \
  --header 'Content-Type: application/dicom' --data-binary "@$file" \
  --output "$answer" --write-out '%{http_code}' "$url/v1/segment?include=mask")

if [ "$status" != 200 ]; then
  # A problem document (RFC 9457): code is stable, detail is for people.
  jq --raw-output '"\(.status) \(.code): \(.detail) [request \(.request_id)]"' "$answer" >&2 ||
    echo "HTTP status $status" >&2
  exit 1
fi

jq --raw-output '"score \(.has_mask.score), threshold \(.has_mask.threshold)",
  (.regions[] | select(.selected) | "region \(.bbox | join(",")) p \(.max_probability)"),
  (.warnings[] | "warning \(.code): \(.detail)")' "$answer"
jq --raw-output .renders.mask "$answer" | base64 --decode >"$mask"
