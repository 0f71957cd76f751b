<?php
// SPDX-License-Identifier: Apache-2.0
// Standard Webhooks v1a, PHP 8 with the extension sodium.

declare(strict_types=1);

/** As verify, with the public key, whpk_..., in the place of the secret. */
function verify_v1a(
    string $publicKey, ?string $id, ?string $timestamp, ?string $signatures, string $body
): bool {
    if (!isset($id, $timestamp, $signatures) || $id === '' || str_contains($id, '.')) {
        return false;
    }
    if (!preg_match('/\A[0-9]{1,12}\z/', $timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/\Awhpk_/', '', $publicKey));
    foreach (explode(' ', $signatures) as $entry) {
        [$version, $text] = explode(',', $entry, 2) + ['', ''];
        $signature = (string) base64_decode($text, true);
        if ($version === 'v1a' && strlen($signature) === SODIUM_CRYPTO_SIGN_BYTES
                && sodium_crypto_sign_verify_detached($signature, "$id.$timestamp.$body", $key)) {
            return true;
        }
    }
    return false;
}
