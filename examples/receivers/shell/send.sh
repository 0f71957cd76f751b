#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sends standard input to a receiver as Grapnel does: WEBHOOK_SECRET=whsec_... send.sh URL <body.json
# For trying your own receiver by hand: others on this machine can see the key meanwhile.
set -eu

body=$(mktemp)
trap 'rm -f "$body"' EXIT
cat >"$body"
id=msg_test$$ timestamp=$(date +%s)
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
signature=$({ printf '%s.%s.' "$id" "$timestamp" && cat "$body"; } |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
curl -sS -i "$1" --data-binary "@$body" -H 'content-type: application/json' \
        -H "webhook-id: $id" -H "webhook-timestamp: $timestamp" -H "webhook-signature: v1,$signature"
