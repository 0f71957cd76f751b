// What Grapnel signs, verified by the libraries that receivers use: each profile right, altered,
// late, and while its secret changes. SIGN_PRINT names the program that signs (sign_print.c).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { verify as verifyGitHub, verifyWithFallback } from '@octokit/webhooks-methods';
import * as standardwebhooks from 'standardwebhooks';
import Stripe from 'stripe';
import * as svix from 'svix';

import { digest, verifyRfc9421, verifyShopify, verifySlack, verifyV1a } from './receivers.mjs';

const program = process.env.SIGN_PRINT ??
    fileURLToPath(new URL('../../build/tests/interop/sign_print', import.meta.url));
const stripe = new Stripe('sk_test_nothing_is_called');

const event = { type: 'user.updated', data: { id: 'IDNUMBER1234', name: 'Zoë 😀 \u2028"' } };
const body = JSON.stringify(event);
const altered = body.replace('IDNUMBER1234', 'IDNUMBER1235');
const long = JSON.stringify({ ...event, filler: 'ü'.repeat(200_000) });

function run(args, input = '') {
    return JSON.parse(execFileSync(program, args, { input, encoding: 'utf8', stdio: 'pipe' }));
}

const fresh = (profile, kind = 'hmac') => run(['new', profile, kind]);

/** The headers of one message, by lower-case name, as a receiver sees them. */
function sign(profile, { secrets, text = body, ...fields }) {
    const now = Date.now();
    const message = { id: 'msg_2b7', time: now, event: now, type: event.type, ...fields };
    const settings = Object.entries(message).map(([name, value]) => `${name}=${value}`);
    settings.push(...secrets.map(({ secret }) => `secret=${secret}`));
    const made = Object.entries(run(['sign', profile, ...settings], text));
    return Object.fromEntries(made.map(([name, value]) => [name.toLowerCase(), value]));
}

const agoMs = (seconds) => Date.now() - seconds * 1000;

// --- Standard Webhooks -------------------------------------------------------------------------

for (const [library, module] of Object.entries({ standardwebhooks, svix })) {
    const { Webhook, WebhookVerificationError } = module;
    const refuses = ({ secret }, text, headers) =>
        assert.throws(() => new Webhook(secret).verify(text, headers), WebhookVerificationError);

    test(`standard, ${library}: right, altered, early and late`, () => {
        const secret = fresh('standard');
        const receiver = new Webhook(secret.secret);
        const headers = sign('standard', { secrets: [secret] });
        const later = String(Number(headers['webhook-timestamp']) + 1);

        assert.deepEqual(receiver.verify(body, headers), event);
        assert.deepEqual(receiver.verify(long, sign('standard', { secrets: [secret], text: long })),
            JSON.parse(long));
        refuses(secret, altered, headers);
        refuses(secret, body, { ...headers, 'webhook-id': 'msg_2b8' });
        refuses(secret, body, { ...headers, 'webhook-timestamp': later });
        refuses(secret, body, sign('standard', { secrets: [secret], time: agoMs(310) }));
        refuses(secret, body, sign('standard', { secrets: [secret], time: agoMs(-310) }));
        refuses(fresh('standard'), body, headers);
    });

    test(`standard, ${library}: both secrets while they change`, () => {
        const older = fresh('standard');
        const newer = fresh('standard');
        const during = sign('standard', { secrets: [newer, older] });
        const after = sign('standard', { secrets: [newer] });

        for (const secret of [older, newer])
            assert.deepEqual(new Webhook(secret.secret).verify(body, during), event);
        refuses(fresh('standard'), body, during);
        assert.deepEqual(new Webhook(newer.secret).verify(body, after), event);
        refuses(older, body, after);
    });

    test(`standard, ${library}: a signature of v1a beside it does no harm`, () => {
        const secret = fresh('standard');
        const pair = fresh('standard', 'ed25519');

        for (const secrets of [[secret, pair], [pair, secret]]) {
            const headers = sign('standard', { secrets });
            assert.deepEqual(new Webhook(secret.secret).verify(body, headers), event);
        }
        refuses(secret, body, sign('standard', { secrets: [pair] }));
    });
}

test('standard, svix: the svix- names alone are enough', () => {
    const secret = fresh('standard');
    const headers = sign('standard', { secrets: [secret], svix: 'yes' });
    const only = Object.fromEntries(
        Object.entries(headers).filter(([name]) => name.startsWith('svix-')));

    assert.equal(Object.keys(headers).length, 6);
    assert.equal(Object.keys(only).length, 3);
    assert.deepEqual(new svix.Webhook(secret.secret).verify(body, only), event);
    assert.throws(() => new svix.Webhook(secret.secret).verify(altered, only),
        svix.WebhookVerificationError);
});

test('standard, v1a: right, altered, and while the key changes', () => {
    const older = fresh('standard', 'ed25519');
    const newer = fresh('standard', 'ed25519');
    const during = sign('standard', { secrets: [newer, fresh('standard'), older] });
    const after = sign('standard', { secrets: [newer] });

    assert.match(newer.public, /^whpk_/);
    for (const pair of [older, newer]) {
        assert.ok(verifyV1a(pair.public, during, body));
        assert.ok(!verifyV1a(pair.public, during, altered));
        assert.ok(!verifyV1a(pair.public, { ...during, 'webhook-id': 'msg_2b8' }, body));
    }
    assert.ok(verifyV1a(newer.public, after, body));
    assert.ok(!verifyV1a(older.public, after, body));
});

// --- GitHub ------------------------------------------------------------------------------------

test('github: right, altered, and while the secret changes', async () => {
    const older = fresh('github');
    const newer = fresh('github');
    const before = sign('github', { secrets: [older] });
    const during = sign('github', { secrets: [newer, older] });
    const header = 'x-hub-signature-256';

    assert.ok(await verifyGitHub(older.secret, body, before[header]));
    const longer = sign('github', { secrets: [older], text: long })[header];
    assert.ok(await verifyGitHub(older.secret, long, longer));
    assert.ok(!await verifyGitHub(older.secret, altered, before[header]));
    assert.ok(!await verifyGitHub(newer.secret, body, before[header]));
    assert.equal(before['x-github-event'], event.type);
    assert.equal(before['x-github-delivery'], 'msg_2b7');

    // The newest secret alone signs: a receiver that knows both takes what comes before and after.
    for (const headers of [before, during])
        assert.ok(await verifyWithFallback(newer.secret, body, headers[header], [older.secret]));
    assert.ok(await verifyGitHub(newer.secret, body, during[header]));
    assert.ok(!await verifyGitHub(older.secret, body, during[header]));
});

test('github: a type that would break out of its header is refused', () => {
    const secrets = [fresh('github')];

    assert.throws(() => sign('github', { secrets, type: 'user\r\nX-Admin: 1' }),
        { stderr: /X-GitHub-Event is no header value/ });
});

// --- Stripe ------------------------------------------------------------------------------------

test('stripe: right, altered, late, and while the secret changes', () => {
    const older = fresh('stripe');
    const newer = fresh('stripe');
    const during = sign('stripe', { secrets: [newer, older] })['stripe-signature'];
    const after = sign('stripe', { secrets: [newer] })['stripe-signature'];
    const receive = (text, header, { secret }) =>
        stripe.webhooks.constructEvent(text, header, secret);
    const refusal = { type: 'StripeSignatureVerificationError' };

    assert.match(newer.secret, /^whsec_/);
    for (const secret of [older, newer]) {
        assert.deepEqual(receive(body, during, secret), event);
        assert.throws(() => receive(altered, during, secret), refusal);
    }
    assert.deepEqual(receive(body, after, newer), event);
    assert.throws(() => receive(body, after, older), refusal);
    const late = sign('stripe', { secrets: [newer], time: agoMs(310) })['stripe-signature'];
    assert.throws(() => receive(body, late, newer), { message: /tolerance/ });
});

// --- Slack, Shopify ----------------------------------------------------------------------------

test('slack: right, altered, late, and while the secret changes', () => {
    const older = fresh('slack');
    const newer = fresh('slack');
    const before = sign('slack', { secrets: [older] });
    const during = sign('slack', { secrets: [newer, older] });

    assert.ok(verifySlack(older.secret, before, body));
    assert.ok(!verifySlack(older.secret, before, altered));
    const late = sign('slack', { secrets: [older], time: agoMs(310) });
    assert.ok(!verifySlack(older.secret, late, body));
    assert.ok(verifySlack(newer.secret, during, body));
    assert.ok(!verifySlack(older.secret, during, body));
    const later = String(Number(before['x-slack-request-timestamp']) + 1);
    assert.ok(!verifySlack(older.secret, { ...before, 'x-slack-request-timestamp': later }, body));
});

test('shopify: right, altered, and while the secret changes', () => {
    const older = fresh('shopify');
    const newer = fresh('shopify');
    const before = sign('shopify', { secrets: [older], event: 1699999999123 });
    const during = sign('shopify', { secrets: [newer, older] });

    assert.ok(verifyShopify(older.secret, before, body));
    assert.ok(!verifyShopify(older.secret, before, altered));
    assert.ok(verifyShopify(newer.secret, during, body));
    assert.ok(!verifyShopify(older.secret, during, body));
    assert.equal(before['x-shopify-topic'], event.type);
    assert.equal(before['x-shopify-webhook-id'], 'msg_2b7');
    assert.equal(Date.parse(before['x-shopify-triggered-at']), 1699999999123);
});

// --- HTTP Message Signatures -------------------------------------------------------------------

const url = 'https://hooks.example.com:8443/in/shop%20one?tenant=7&x=%C3%BC';
const target = {
    method: 'POST', authority: 'hooks.example.com:8443', path: '/in/shop%20one',
    query: 'tenant=7&x=%C3%BC', 'content-type': 'application/json; charset=utf-8',
};

/** As the library sees the request; it leaves the comparison of Content-Digest to the receiver. */
function request(headers, changes = {}) {
    const sent = { 'content-type': target['content-type'], ...headers, ...changes.headers };
    return { method: 'POST', url, ...changes, headers: sent };
}

for (const kind of ['hmac', 'ed25519']) {
    test(`rfc9421, ${kind}: right, altered, late`, async () => {
        const key = fresh('rfc9421', kind);
        const headers = sign('rfc9421', { secrets: [key], ...target });

        assert.equal(await verifyRfc9421([key], request(headers)), true);
        assert.equal(headers['content-digest'], digest(body));
        assert.notEqual(headers['content-digest'], digest(altered));
        const changes = [
            { method: 'PUT' },
            { url: url.replace('shop', 'ship') },
            { url: url.replace('tenant=7', 'tenant=8') },
            { url: url.replace('hooks.', 'looks.') },
            { url: url.replace('8443', '8444') },
            { headers: { 'webhook-id': 'msg_2b8' } },
            { headers: { 'content-digest': digest(altered) } },
            { headers: { 'content-type': 'text/plain' } },
        ];
        for (const change of changes)
            assert.equal(await verifyRfc9421([key], request(headers, change)), false,
                JSON.stringify(change));
        const late = sign('rfc9421', { secrets: [key], ...target, time: agoMs(310) });
        await assert.rejects(verifyRfc9421([key], request(late)), { message: /too old/ });
    });

    test(`rfc9421, ${kind}: no query is signed as such`, async () => {
        const key = fresh('rfc9421', kind);
        const headers = sign('rfc9421', { secrets: [key], ...target, query: '' });
        const bare = url.split('?')[0];

        assert.equal(await verifyRfc9421([key], request(headers, { url: bare })), true);
        const added = { url: `${bare}?admin=1` };
        assert.equal(await verifyRfc9421([key], request(headers, added)), false);
    });

    test(`rfc9421, ${kind}: both keys while they change`, async () => {
        const older = fresh('rfc9421', kind);
        const newer = fresh('rfc9421', kind);
        const during = request(sign('rfc9421', { secrets: [newer, older], ...target }));

        assert.match(during.headers['signature-input'], /^sig1=.*, sig2=/);
        for (const known of [[older], [newer], [older, newer]])
            assert.equal(await verifyRfc9421(known, during), true);
        assert.equal(await verifyRfc9421([fresh('rfc9421', kind)], during), null);
        const after = request(sign('rfc9421', { secrets: [newer], ...target }));
        assert.equal(await verifyRfc9421([older], after), null);
        // A stranger's key under the right name.
        const forged = { ...fresh('rfc9421', kind), keyid: newer.keyid };
        assert.equal(await verifyRfc9421([forged], after), false);
    });
}

// --- none --------------------------------------------------------------------------------------

test('none: an id and a time, nothing that looks like a signature', () => {
    const headers = sign('none', { secrets: [], time: 1700000000999 });

    assert.deepEqual(headers, { 'webhook-id': 'msg_2b7', 'webhook-timestamp': '1700000000' });
});
