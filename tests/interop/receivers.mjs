// Receivers in a few lines of node:crypto, after the vendors' manuals, for what no official library
// verifies alone (Slack's and Shopify's bring a whole server with them); and the settings of
// http-message-signatures under which nothing is left unsigned. Each says true or false, unless it
// says otherwise. Headers have lower-case names; a pair is {secret, public, keyid}.

import crypto from 'node:crypto';

import { createVerifier, httpbis } from 'http-message-signatures';

const isSame = (a, b) =>
    a.length === b.length && crypto.timingSafeEqual(Buffer.from(a), Buffer.from(b));

function ed25519Key(publicKey) {
    const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url');
    return crypto.createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** Standard Webhooks v1a: does one of the entries belong to this public key? */
export function verifyV1a(publicKey, headers, body) {
    const key = ed25519Key(publicKey);
    const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
    return headers['webhook-signature'].split(' ')
        .filter((entry) => entry.startsWith('v1a,'))
        .some((entry) => crypto.verify(null, signed, key, Buffer.from(entry.slice(4), 'base64')));
}

/** Slack's manual, "Verifying requests from Slack". */
export function verifySlack(secret, headers, body) {
    const time = headers['x-slack-request-timestamp'];
    const mac = crypto.createHmac('sha256', secret).update(`v0:${time}:${body}`).digest('hex');
    const isFresh = Math.abs(Date.now() / 1000 - Number(time)) <= 300;
    return isFresh && isSame(headers['x-slack-signature'], `v0=${mac}`);
}

/** Shopify's manual, "Verify webhooks". */
export function verifyShopify(secret, headers, body) {
    return isSame(headers['x-shopify-hmac-sha256'],
        crypto.createHmac('sha256', secret).update(body).digest('base64'));
}

// --- HTTP Message Signatures -------------------------------------------------------------------

function verifierOf(pair) {
    if (pair.public)
        return createVerifier(ed25519Key(pair.public), 'ed25519');
    const bytes = Buffer.from(pair.secret.replace(/^whsec_/, ''), 'base64');
    return createVerifier(bytes, 'hmac-sha256');
}

/** `message` is {method, url, headers}. null: none of the known pairs signed it. What
 * Content-Digest says is not compared with the body. */
export const verifyRfc9421 = (known, message) => httpbis.verifyMessage({
    keyLookup: async ({ keyid }) => {
        const pair = known.find((one) => one.keyid === keyid);
        return pair ? { id: keyid, verify: verifierOf(pair) } : null;
    },
    requiredFields: [
        '@method', '@authority', '@path', '@query', 'content-digest', 'content-type', 'webhook-id',
    ],
    requiredParams: ['created', 'keyid', 'alg'],
    maxAge: 300,
    tolerance: 5,
}, message);

export const digest = (body) =>
    `sha-256=:${crypto.createHash('sha256').update(body).digest('base64')}:`;
