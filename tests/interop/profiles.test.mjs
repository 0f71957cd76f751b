// Deliveries of the real daemon in each signature profile and format, verified by the vendors' own
// libraries, before and while the secret changes.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';

import { verify as verifyGitHub, verifyWithFallback } from '@octokit/webhooks-methods';
import { CloudEvent, HTTP } from 'cloudevents';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import Stripe from 'stripe';

import { Daemon, Receiver } from './house.mjs';
import { digest, verifyRfc9421, verifyShopify, verifySlack, verifyV1a } from './receivers.mjs';

const stripe = new Stripe('sk_test_nothing_is_called');

const TYPE = 'user.updated';
const PAYLOAD = { type: TYPE, id: 'IDNUMBER1234', name: 'Zoë 😀 \u2028"', at: 1.5 };
const BODY = JSON.stringify(PAYLOAD);
const ALTERED = BODY.replace('IDNUMBER1234', 'IDNUMBER1235');

let daemon;
let receiver;
let app;
let count = 0;

before(async () => {
    [daemon, receiver] = await Promise.all([Daemon.start(), Receiver.start()]);
    app = (await daemon.call('POST', '/app', { name: 'Shop' })).id;
});

after(async () => {
    await daemon?.stop();
    await receiver?.stop();
});

/** An endpoint with these settings, and what may be done with it. */
async function subscribe(settings, query = '') {
    const where = `/hook-${++count}${query}`;
    const channel = `channel-${count}`;
    const made = await daemon.call('POST', `/app/${app}/endpoint`,
        { url: receiver.url(where), channels: [channel], ...settings });
    const path = `/app/${app}/endpoint/${made.id}/secret`;

    return {
        /** {secret, public, keyid} of the newest. */
        async pair() {
            const { key, publicKey } = await daemon.call('GET', path);
            return { secret: key, public: publicKey, keyid: keyIdOf(key, publicKey) };
        },
        rotate: (how = {}) => daemon.call('POST', `${path}/rotate`, how),
        /** Sends one message; gives it with what arrived. */
        async deliver(more = {}) {
            const message = await daemon.call('POST', `/app/${app}/msg`,
                { eventType: TYPE, payload: PAYLOAD, channels: [channel], ...more });
            const { method, url, headers, body } = await receiver.next(where);
            assert.equal(method, 'POST');
            return { message, headers, url: receiver.url(url), body: body.toString() };
        },
    };
}

/** As docs/signatures.md says: a JWK thumbprint, or the start of an HMAC of its own. */
function keyIdOf(secret, publicKey) {
    if (!publicKey)
        return crypto.createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
            .update('key id').digest('hex').slice(0, 16);
    const x = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64').toString('base64url');
    return crypto.createHash('sha256').update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
        .digest('base64url');
}

function isStandard({ secret }, headers, body) {
    try {
        new Webhook(secret).verify(body, headers);
        return true;
    } catch (error) {
        if (error instanceof WebhookVerificationError)
            return false;
        throw error;
    }
}

// --- signatures --------------------------------------------------------------------------------

test('github: @octokit/webhooks-methods', async () => {
    const hook = await subscribe({ profile: 'github' });
    const older = await hook.pair();
    const { message, headers, body } = await hook.deliver();
    const signature = headers['x-hub-signature-256'];

    assert.equal(body, BODY);
    assert.ok(await verifyGitHub(older.secret, body, signature));
    assert.ok(!await verifyGitHub(older.secret, ALTERED, signature));
    assert.equal(headers['x-github-event'], TYPE);
    assert.equal(headers['x-github-delivery'], message.id);
    assert.equal(headers['webhook-signature'], undefined);

    await hook.rotate();
    const newer = await hook.pair();
    const next = await hook.deliver();
    const changed = next.headers['x-hub-signature-256'];
    assert.ok(await verifyGitHub(newer.secret, next.body, changed));
    assert.ok(!await verifyGitHub(older.secret, next.body, changed));
    for (const one of [signature, changed])
        assert.ok(await verifyWithFallback(newer.secret, BODY, one, [older.secret]));
});

test('stripe: stripe', async () => {
    const hook = await subscribe({ profile: 'stripe' });
    const older = await hook.pair();
    const receive = ({ secret }, { headers }, body) =>
        stripe.webhooks.constructEvent(body, headers['stripe-signature'], secret);
    const refusal = { type: 'StripeSignatureVerificationError' };
    const first = await hook.deliver();

    assert.deepEqual(receive(older, first, first.body), PAYLOAD);
    assert.throws(() => receive(older, first, ALTERED), refusal);
    await hook.rotate({ gracePeriodSeconds: 3600 });
    const newer = await hook.pair();
    const during = await hook.deliver();
    for (const pair of [older, newer])
        assert.deepEqual(receive(pair, during, during.body), PAYLOAD);
    assert.throws(() => receive(newer, first, first.body), refusal);
    await hook.rotate({ gracePeriodSeconds: 0 });
    const later = await hook.deliver();
    assert.deepEqual(receive(await hook.pair(), later, later.body), PAYLOAD);
    assert.throws(() => receive(newer, later, later.body), refusal);
});

for (const [profile, verify] of Object.entries({ slack: verifySlack, shopify: verifyShopify }))
    test(`${profile}: node:crypto`, async () => {
        const hook = await subscribe({ profile });
        const older = await hook.pair();
        const { message, headers, body } = await hook.deliver();

        assert.equal(body, BODY);
        assert.ok(verify(older.secret, headers, body));
        assert.ok(!verify(older.secret, headers, ALTERED));
        if (profile === 'shopify') {
            assert.equal(headers['x-shopify-topic'], TYPE);
            assert.equal(headers['x-shopify-webhook-id'], message.id);
            assert.equal(headers['x-shopify-triggered-at'], message.timestamp);
        }
        await hook.rotate();
        const next = await hook.deliver();
        assert.ok(verify((await hook.pair()).secret, next.headers, next.body));
        assert.ok(!verify(older.secret, next.headers, next.body));
    });

for (const secretType of ['hmac', 'ed25519'])
    test(`rfc9421, ${secretType}: http-message-signatures`, async () => {
        const hook = await subscribe(
            { profile: 'rfc9421', secretType }, '/shop%20one?tenant=7&x=%C3%BC');
        const older = await hook.pair();
        const first = await hook.deliver();
        const message = ({ headers, url }, changes = {}) =>
            ({ method: 'POST', url, headers: { ...headers, ...changes } });

        assert.equal(Boolean(older.public), secretType === 'ed25519');
        assert.equal(await verifyRfc9421([older], message(first)), true);
        assert.equal(first.headers['content-digest'], digest(BODY));
        assert.equal(first.body, BODY);
        assert.equal(first.headers['webhook-id'], first.message.id);
        for (const changed of [
            { ...message(first), url: first.url.replace('tenant=7', 'tenant=8') },
            { ...message(first), method: 'PUT' },
            message(first, { 'content-digest': digest(ALTERED) }),
            message(first, { 'webhook-id': 'msg_another' }),
        ])
            assert.equal(await verifyRfc9421([older], changed), false);

        await hook.rotate();
        const newer = await hook.pair();
        assert.notEqual(newer.keyid, older.keyid);
        const during = await hook.deliver();
        for (const known of [[older], [newer], [newer, older]])
            assert.equal(await verifyRfc9421(known, message(during)), true);
        assert.equal(await verifyRfc9421([newer], message(first)), null);
    });

test('standard, v1a: node:crypto', async () => {
    const hook = await subscribe({ secretType: 'ed25519' });
    const older = await hook.pair();
    const first = await hook.deliver();

    assert.match(older.public, /^whpk_/);
    assert.match(first.headers['webhook-signature'], /^v1a,\S+$/);
    assert.ok(verifyV1a(older.public, first.headers, first.body));
    assert.ok(!verifyV1a(older.public, first.headers, ALTERED));
    await hook.rotate();
    const newer = await hook.pair();
    const during = await hook.deliver();
    for (const pair of [older, newer])
        assert.ok(verifyV1a(pair.public, during.headers, during.body));
    assert.ok(!verifyV1a(newer.public, first.headers, first.body));
});

test('standard, from v1 to v1a: receivers of both kinds go on', async () => {
    const hook = await subscribe({});
    const older = await hook.pair();
    await hook.rotate({ secretType: 'ed25519' });
    const newer = await hook.pair();
    const { headers, body } = await hook.deliver();

    assert.ok(isStandard(older, headers, body));
    assert.ok(!isStandard(older, headers, ALTERED));
    assert.ok(verifyV1a(newer.public, headers, body));
});

test('none: no signature', async () => {
    const hook = await subscribe({ profile: 'none' });
    const { message, headers, body } = await hook.deliver();

    assert.equal(body, BODY);
    assert.equal(headers['webhook-id'], message.id);
    assert.deepEqual(Object.keys(headers).filter((name) => name.includes('signature')), []);
});

// --- CloudEvents -------------------------------------------------------------------------------

/** What both modes say of the message. */
function checkEvent(event, message) {
    assert.ok(event instanceof CloudEvent);
    assert.deepEqual([event.specversion, event.id, event.source, event.type, event.time],
        ['1.0', message.id, `/${app}`, TYPE, message.timestamp]);
    assert.ok(event.validate());
}

test('cloudevents, binary: the SDK reads it, standardwebhooks verifies it', async () => {
    const hook = await subscribe({ format: 'cloudevents' });
    const { message, headers, body } = await hook.deliver({ subject: 'user/7' });
    const event = HTTP.toEvent({ headers, body });

    checkEvent(event, message);
    assert.equal(event.subject, 'user/7');
    assert.deepEqual(event.data, PAYLOAD);
    assert.equal(event.datacontenttype, 'application/json');
    assert.equal(body, BODY);
    assert.ok(isStandard(await hook.pair(), headers, body));
    assert.ok(!isStandard(await hook.pair(), headers, ALTERED));
});

test('cloudevents, binary: what headers cannot hold is percent-encoded', async () => {
    const hook = await subscribe({ format: 'cloudevents' });
    const subject = 'Zoë 😀 "100%"/\u007f~';
    const { headers } = await hook.deliver({ subject });

    // The SDK gives the header as it is; the binding says how it is decoded.
    assert.equal(headers['ce-subject'], 'Zo%C3%AB%20%F0%9F%98%80%20%22100%25%22/%7F~');
    assert.equal(decodeURIComponent(headers['ce-subject']), subject);
    assert.equal(headers['ce-source'], `/${app}`);
});

test('cloudevents, structured: the SDK reads it, standardwebhooks verifies it', async () => {
    const hook = await subscribe({ format: 'cloudevents-structured' });
    const subject = 'Zoë 😀 "100%"';
    const { message, headers, body } = await hook.deliver({ subject });
    const event = HTTP.toEvent({ headers, body });

    assert.equal(headers['content-type'], 'application/cloudevents+json');
    assert.equal(headers['ce-id'], undefined);
    checkEvent(event, message);
    assert.equal(event.subject, subject);
    assert.deepEqual(event.data, PAYLOAD);
    assert.ok(body.includes(`"data":${BODY}`));
    assert.ok(isStandard(await hook.pair(), headers, body));
    assert.ok(!isStandard(await hook.pair(), headers, body.replace('1234', '1235')));
});

test('cloudevents, structured: numbers stay as they are, what is no JSON is base64', async () => {
    const hook = await subscribe({ format: 'cloudevents-structured' });
    const raw = '{"n": 1.50, "big": 12345678901234567890}';
    const { body } = await hook.deliver({ transformationsParams: { rawPayload: raw } });
    assert.ok(body.includes(`"data":${raw}`));

    const text = 'Zoë <br>';
    const plain = await hook.deliver({ transformationsParams: {
        rawPayload: text, headers: { 'content-type': 'text/html; charset=utf-8' } } });
    const event = HTTP.toEvent(plain);
    checkEvent(event, plain.message);
    assert.equal(event.datacontenttype, 'text/html; charset=utf-8');
    assert.equal(event.data_base64, Buffer.from(text).toString('base64'));
});

test('cloudevents, binary: another profile signs it as well', async () => {
    const hook = await subscribe({ format: 'cloudevents', profile: 'github' });
    const { message, headers, body } = await hook.deliver();
    const { secret } = await hook.pair();

    checkEvent(HTTP.toEvent({ headers, body }), message);
    assert.ok(await verifyGitHub(secret, body, headers['x-hub-signature-256']));
});
