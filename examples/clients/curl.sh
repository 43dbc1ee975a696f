#!/bin/sh
# curl, and how to ask first what a request would cost and whether it would pass.
set -eu
ask() {
  curl --silent --show-error --fail-with-body "$BURSAR_URL/v1/chat/completions" \
    --header "authorization: Bearer $BURSAR_KEY" \
    --header 'content-type: application/json' \
    --data '{ "model": "gpt-4o-mini", "max_tokens": 50, "messages": [{ "role": "user", "content": "What does a bursar do?" }] }' "$@"
}
ask --header 'x-bursar-dry-run: 1'
echo
ask
echo
