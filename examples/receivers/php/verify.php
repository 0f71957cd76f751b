<?php
// SPDX-License-Identifier: Apache-2.0
// Standard Webhooks v1, PHP 8.

declare(strict_types=1);

/**
 * True if the holder of the secret sent exactly this, at most 5 minutes ago. A header that is
 * missing is null; the body is what came: file_get_contents('php://input').
 */
function verify(
    string $secret, ?string $id, ?string $timestamp, ?string $signatures, string $body
): bool {
    if (!isset($id, $timestamp, $signatures) || $id === '' || str_contains($id, '.')) {
        return false;
    }
    if (!preg_match('/\A[0-9]{1,12}\z/', $timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/\Awhsec_/', '', $secret));
    if (strlen($key) < 24) { // such as none at all, because a setting is missing
        return false;
    }
    $mac = hash_hmac('sha256', "$id.$timestamp.$body", $key, true);
    foreach (explode(' ', $signatures) as $entry) {
        if (hash_equals('v1,' . base64_encode($mac), $entry)) {
            return true;
        }
    }
    return false;
}
