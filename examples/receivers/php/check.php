<?php
// SPDX-License-Identifier: Apache-2.0
// Verifies one delivery as CGI hands it over; see ../README.md.

declare(strict_types=1);

require __DIR__ . '/verify.php';
require __DIR__ . '/verify_v1a.php';

$secret = (string) getenv('WEBHOOK_SECRET');
$good = (str_starts_with($secret, 'whpk_') ? 'verify_v1a' : 'verify')(
    $secret,
    $_SERVER['HTTP_WEBHOOK_ID'] ?? null,
    $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? null,
    $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? null,
    file_get_contents('php://stdin'),
);
echo $good ? 'accepted' : 'refused', "\n";
exit($good ? 0 : 1);
