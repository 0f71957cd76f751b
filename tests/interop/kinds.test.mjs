// Sources by kind, told by the vendors' own libraries: each makes the signed requests where it can.
// (@slack/bolt can only verify, so it judges what node:crypto signed before Grapnel does.)

import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { sign } from '@octokit/webhooks-methods';
import { CloudEvent, HTTP, emitterFor } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';

import { Daemon, Receiver, until } from './house.mjs';

const require = createRequire(import.meta.url);
const examples = require('@octokit/webhooks-examples');
const twilio = require('twilio');
const { verifySlackRequest } = require('@slack/bolt');

const PUBLIC = 'https://hooks.example.com';
const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const OLD = `whsec_${randomBytes(32).toString('base64')}`;
const WRONG = `whsec_${randomBytes(32).toString('base64')}`;
const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };

const config = (authority) => `
public_url: ${PUBLIC}
connections: {target: {url: "http://${authority}"}}
sources:
  forge:    {kind: github, verify: {secret: ["\${NEW}", "\${OLD}"]}}
  payments: {kind: stripe, verify: {secret: ["\${NEW}", "\${OLD}"]}}
  phone:    {kind: twilio, verify: {secret: ["\${NEW}", "\${OLD}"]}}
  chat:     {kind: slack, verify: {secret: ["\${NEW}", "\${OLD}"]}}
  portal:   {kind: standard, verify: {secret: ["\${NEW}", "\${OLD}"]}}
  bus:      {kind: cloudevents, verify: {scheme: bearer, secret: "\${NEW}"}}
flows:
  out:
    on: [forge, payments, phone, chat, portal, bus]
    steps:
      - sent: {post: 'target:/out', body: '{of: .meta.id, type: .meta.type, about: .meta.subject, by: .meta.cloudevent, payload: .event}'}
`;

let daemon;
let receiver;

before(async () => {
    receiver = await Receiver.start();
    daemon = await Daemon.start(config(receiver.authority), { NEW: SECRET, OLD });
});

after(async () => {
    await daemon?.stop();
    await receiver?.stop();
});

/** What the flow made of an event. */
async function mapped(id) {
    const find = () => receiver.at('/out').map(({ body }) => JSON.parse(body))
        .find(({ of }) => of === id);
    return until(find, `event ${id} leaves`);
}

/** It is taken; gives the event's id. */
async function accepted(source, body, headers, query) {
    const { status, text } = await daemon.deliver(source, body, headers, query);
    assert.ok(status >= 200 && status < 300, `${status} ${text}`);
    return JSON.parse(text).event;
}

async function refused(source, body, headers, query) {
    const { status, text } = await daemon.deliver(source, body, headers, query);
    assert.equal(status, 401, text);
}

// --- GitHub ------------------------------------------------------------------------------------

let deliveries = 0;

async function github(name, body, secret = SECRET) {
    return {
        ...JSON_TYPE,
        'x-github-event': name,
        'x-github-delivery': `00000000-0000-0000-0000-${String(++deliveries).padStart(12, '0')}`,
        'x-hub-signature-256': await sign(secret, body),
    };
}

/** One payload all the way; every second one in a layout of its own. */
async function passes(name, payload, i) {
    const body = JSON.stringify(payload, null, i % 2 ? 3 : undefined);
    const id = await accepted('forge', body, await github(name, body));
    const shown = await daemon.event(id);
    assert.ok(shown.includes(Buffer.from(`"body":${body}`)), `${name} is not stored as it came`);
    const { type, payload: sent } = await mapped(id);
    assert.equal(type, name);
    assert.deepEqual(sent, payload);
}

test('all 329 payloads of @octokit/webhooks-examples', async () => {
    const all = examples.flatMap(({ name, examples: some }) => some.map((one) => [name, one]));
    assert.equal(all.length, 329);
    for (let i = 0; i < all.length; i += 7)
        await Promise.all(all.slice(i, i + 7).map(([name, one], k) => passes(name, one, i + k)));
    assert.equal(new Set(receiver.at('/out').map(({ body }) => JSON.parse(body).of)).size, 329);
});

test('GitHub: a form, the old secret, a wrong one, one more time', async () => {
    const { name, examples: [payload] } = examples.find((one) => one.name === 'push');
    const form = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    const id = await accepted('forge', form, { ...await github(name, form), ...FORM_TYPE });
    assert.deepEqual((await mapped(id)).payload, payload);
    assert.equal(JSON.parse(await daemon.event(id)).bodyText, form);

    const body = JSON.stringify(payload);
    const headers = await github(name, body, OLD);
    const first = await accepted('forge', body, headers);
    await mapped(first);
    assert.equal(await accepted('forge', body, headers), first);
    await refused('forge', body, await github(name, body, WRONG));
    await refused('forge', `${body} `, headers);
});

// --- Stripe ------------------------------------------------------------------------------------

const stripeHeader = (payload, secret = SECRET, timestamp = undefined) => ({
    ...JSON_TYPE,
    'stripe-signature': Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp }),
});

test('Stripe', async () => {
    const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'invoice.paid', created: 1 });
    const id = await accepted('payments', body, stripeHeader(body));
    assert.equal((await mapped(id)).type, 'invoice.paid');
    // Each try has a signature of its own; the event's id makes it a repeat.
    const later = Math.floor(Date.now() / 1000) - 60;
    assert.equal(await accepted('payments', body, stripeHeader(body, OLD, later)), id);
    await refused('payments', body, stripeHeader(body, WRONG));
    await refused('payments', body, stripeHeader(body, SECRET, later - 600));
    await refused('payments', body, JSON_TYPE);
});

// --- Twilio ------------------------------------------------------------------------------------

test('Twilio: forms', async () => {
    const fields = { From: '+12025550143', Body: 'Zoë & "co" + 1', SmsStatus: 'received', B: '' };
    const body = new URLSearchParams(fields).toString();
    const signed = (secret) => ({
        ...FORM_TYPE,
        'x-twilio-signature':
            twilio.getExpectedTwilioSignature(secret, `${PUBLIC}/in/phone`, fields),
    });
    const before_ = receiver.at('/out').length;
    const { status } = await daemon.deliver('phone', body, signed(SECRET));
    assert.ok(status >= 200 && status < 300);
    await until(() => receiver.at('/out').length > before_, 'it leaves');
    const sent = JSON.parse(receiver.at('/out').at(-1).body);
    assert.deepEqual(sent.payload, fields);
    assert.equal(sent.type, 'received');
    assert.equal(JSON.parse(await daemon.event(sent.of)).bodyText, body);
    await refused('phone', body, signed(WRONG));
    await refused('phone', body, FORM_TYPE);
    assert.ok((await daemon.deliver('phone', `${body}1`, signed(OLD))).status === 401);
});

test('Twilio: JSON', async () => {
    const body = JSON.stringify({ type: 'studio', n: 1 });
    const query = `?bodySHA256=${twilio.validateBody && require('node:crypto')
        .createHash('sha256').update(body).digest('hex')}`;
    const headers = {
        ...JSON_TYPE,
        'x-twilio-signature':
            twilio.getExpectedTwilioSignature(SECRET, `${PUBLIC}/in/phone${query}`, {}),
    };
    assert.ok(twilio.validateRequestWithBody(SECRET, headers['x-twilio-signature'],
        `${PUBLIC}/in/phone${query}`, body));
    const { status } = await daemon.deliver('phone', body, headers, query);
    assert.ok(status >= 200 && status < 300);
    await refused('phone', `${body} `, headers, query);
});

// --- Slack -------------------------------------------------------------------------------------

function slackHeaders(body, type, secret = SECRET, ageSeconds = 0) {
    const time = Math.floor(Date.now() / 1000) - ageSeconds;
    const mac = createHmac('sha256', secret).update(`v0:${time}:${body}`).digest('hex');
    return {
        ...type,
        'x-slack-request-timestamp': String(time),
        'x-slack-signature': `v0=${mac}`,
    };
}

/** What bolt thinks of it. */
function boltTakes(body, headers) {
    const numbers = { ...headers };
    numbers['x-slack-request-timestamp'] = Number(numbers['x-slack-request-timestamp']);
    try {
        verifySlackRequest({ signingSecret: SECRET, body, headers: numbers });
        return true;
    } catch {
        return false;
    }
}

test('Slack: what bolt takes is taken, and what it refuses is refused', async () => {
    const event = JSON.stringify({
        type: 'event_callback', event_id: 'Ev1', event: { type: 'app_mention', text: 'hi' },
    });
    const command = new URLSearchParams({ command: '/ticket', text: 'a b&c', trigger_id: 't1' })
        .toString();
    const button = new URLSearchParams({
        payload: JSON.stringify({ type: 'block_actions', trigger_id: 't2', actions: [{ a: 'ä' }] }),
    }).toString();
    const cases = [
        [event, JSON_TYPE, 'app_mention', (one) => one.event.text === 'hi'],
        [command, FORM_TYPE, '/ticket', (one) => one.text === 'a b&c'],
        [button, FORM_TYPE, 'block_actions', (one) => one.actions[0].a === 'ä'],
    ];
    for (const [body, kind, type, look] of cases) {
        const headers = slackHeaders(body, kind);
        assert.ok(boltTakes(body, headers));
        const { status } = await daemon.deliver('chat', body, headers);
        assert.ok(status >= 200 && status < 300, String(status));
        const sent = await until(() => receiver.at('/out').map((one) => JSON.parse(one.body))
            .find((one) => one.type === type), type);
        assert.ok(look(sent.payload));
        for (const bad of [slackHeaders(body, kind, WRONG), slackHeaders(body, kind, SECRET, 600)]) {
            assert.ok(!boltTakes(body, bad));
            await refused('chat', body, bad);
        }
    }
});

test('Slack: the challenge comes back', async () => {
    const body = JSON.stringify({ type: 'url_verification', token: 'x', challenge: 'c-1' });
    const { status, text } = await daemon.deliver('chat', body, slackHeaders(body, JSON_TYPE));
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse(text), { challenge: 'c-1' });
    await refused('chat', body, JSON_TYPE);
});

// --- Standard Webhooks -------------------------------------------------------------------------

test('Standard Webhooks', async () => {
    const body = '{ "type": "user.created", "data": {"id": "u-1"} }';
    const headers = (secret, ageSeconds = 0) => {
        const time = new Date(Date.now() - ageSeconds * 1000);
        return {
            ...JSON_TYPE,
            'webhook-id': 'msg_1',
            'webhook-timestamp': String(Math.floor(time / 1000)),
            'webhook-signature': new Webhook(secret).sign('msg_1', time, body),
        };
    };
    const id = await accepted('portal', body, headers(SECRET));
    assert.equal((await mapped(id)).type, 'user.created');
    assert.equal(await accepted('portal', body, headers(OLD)), id);
    await refused('portal', body, headers(WRONG));
    await refused('portal', body, headers(SECRET, 600));
});

// --- CloudEvents -------------------------------------------------------------------------------

const cloudevent = (id) => new CloudEvent({
    id, source: '/crm/7', type: 'com.example.moved', subject: 'customer/12', partner: 'p7',
    data: { city: 'Oulu', n: [1, null] },
});

const authorized = (headers) => ({ ...headers, authorization: `Bearer ${SECRET}` });

async function arrives(id, event) {
    const sent = await mapped(id);
    assert.deepEqual(sent.payload, event.data);
    assert.equal(sent.type, event.type);
    assert.equal(sent.about, event.subject);
    for (const name of ['id', 'source', 'type', 'subject', 'time', 'specversion', 'partner'])
        assert.equal(sent.by[name], event[name], name);
}

test('CloudEvents: binary, structured, and by the emitter', async () => {
    const binary = cloudevent('b-1');
    let message = HTTP.binary(binary);
    await arrives(await accepted('bus', message.body, authorized(message.headers)), binary);

    const structured = cloudevent('s-1');
    message = HTTP.structured(structured);
    const id = await accepted('bus', message.body, authorized(message.headers));
    await arrives(id, structured);
    // The same event in the other mode is the same event.
    message = HTTP.binary(structured);
    assert.equal(await accepted('bus', message.body, authorized(message.headers)), id);

    const emitted = cloudevent('e-1');
    const emit = emitterFor(({ body, headers }) => accepted('bus', body, authorized(headers)));
    await arrives(await emit(emitted), emitted);
});

test('CloudEvents: a batch', async () => {
    const events = ['x-1', 'x-2', 'x-3'].map(cloudevent);
    const headers = authorized({ 'content-type': 'application/cloudevents-batch+json' });
    const { status, text } = await daemon.deliver('bus', JSON.stringify(events), headers);
    assert.equal(status, 202, text);
    for (const { id } of events)
        await until(() => receiver.at('/out').some(({ body }) => JSON.parse(body).by?.id === id), id);
});
