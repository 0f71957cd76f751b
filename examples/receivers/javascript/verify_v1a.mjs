// SPDX-License-Identifier: Apache-2.0
// Standard Webhooks v1a, Node.js 18 or newer.

import { createPublicKey, verify } from 'node:crypto';

/** As verify, with the public key, whpk_..., in the place of the secret. */
export function verifyV1a(publicKey, id, timestamp, signatures, body) {
    if (!id || !timestamp || !signatures || id.includes('.')) return false;
    if (!/^[0-9]{1,12}$/.test(timestamp)) return false;
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
    const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url');
    const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
    const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
    return signatures.split(' ').some((entry) => {
        const [version, text] = entry.split(',');
        return version === 'v1a' && verify(null, signed, key, Buffer.from(text ?? '', 'base64'));
    });
}
