#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The main job as a script behind Debian's `webhook`, which calls it with the id of the user and
# takes what it prints for the answer. TARGET_PORT is in the environment.
set -eu
target=http://127.0.0.1:$TARGET_PORT
key='Authorization: Bearer bench'

user=$(curl -sSf -H "$key" "$target/users/$1")
found=$(curl -sSf -H "$key" "$target/contacts?external_id=$1")
changes=$(jq -nr --argjson user "$user" --argjson found "$found" '
        ($found.items | if length == 1 then .[0] else error("no contact") end) as $contact
        | {email: $user.email, name: "\($user.firstName) \($user.lastName)"}
        | with_entries(select(.value != $contact[.key]))
        | $contact.id, tojson')
contact=${changes%%
*}
body=${changes#*
}
if [ "$body" = '{}' ]; then
        echo '{"message":"Nothing to change."}'
else
        curl -sSf -o /dev/null -X PATCH -H "$key" -H 'Content-Type: application/merge-patch+json' \
                --data-binary "$body" "$target/contacts/$contact"
        echo '{"message":"Updated."}'
fi
