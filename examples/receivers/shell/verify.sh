#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Standard Webhooks v1 for a look by hand or a CGI script: POSIX sh with openssl and od. Whoever may
# list the processes of this machine can see the key meanwhile, and the comparison takes no care of
# time: where that matters, take another language.
set -eu

id=${HTTP_WEBHOOK_ID:-} timestamp=${HTTP_WEBHOOK_TIMESTAMP:-} signatures=${HTTP_WEBHOOK_SIGNATURE:-}
secret=${WEBHOOK_SECRET:-}

refuse() {
        echo refused
        exit 1
}

case $id in '' | *.*) refuse ;; esac
case $timestamp in '' | 0* | *[!0-9]* | ?????????????*) refuse ;; esac
age=$(($(date +%s) - timestamp))
[ "$age" -le 300 ] && [ "$age" -ge -300 ] || refuse
key=$(printf %s "${secret#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
[ ${#key} -ge 48 ] || refuse # such as none at all, because a setting is missing
mac=$({ printf '%s.%s.' "$id" "$timestamp" && cat; } |
        openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
[ ${#mac} -eq 44 ] || refuse # openssl has failed
case " $signatures " in *" v1,$mac "*) echo accepted ;; *) refuse ;; esac
