// SPDX-License-Identifier: Apache-2.0
// Standard Webhooks v1, Node.js 18 or newer.

import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * True if the holder of the secret sent exactly this, at most 5 minutes ago. The headers are text,
 * or undefined where one is missing; the body is a Buffer of the bytes that came.
 */
export function verify(secret, id, timestamp, signatures, body) {
    if (!id || !timestamp || !signatures || id.includes('.')) return false;
    if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
    if (key.length < 24) return false; // such as none at all, because a setting is missing
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body);
    const expected = Buffer.from('v1,' + mac.digest('base64'));
    return signatures.split(' ').some((entry) => {
        const given = Buffer.from(entry);
        return given.length === expected.length && timingSafeEqual(given, expected);
    });
}
