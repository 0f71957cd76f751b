// The sending API as Svix's own client sees it (npm svix), against the real daemon; each delivery
// that arises is verified by npm standardwebhooks. What the client can do and Grapnel cannot stands
// in docs/svix-compatibility.md; the last tests see that nothing is missing on either side.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import {
    ApiException, AppPortalCapability, BackgroundTaskStatus, BackgroundTaskType,
    MessageAttemptTriggerType, MessageStatus, Ordering, StatusCodeClass, Svix, messageInRaw,
} from 'svix';

import { Daemon, Receiver, TOKEN, until } from './house.mjs';

let daemon;
let receiver;
let client;
/** "noun.operation" of all that was answered well. */
const worked = new Set();
const verified = new Set();

before(async () => {
    [daemon, receiver] = await Promise.all([Daemon.start(), Receiver.start()]);
    client = connect(TOKEN);
});

after(async () => {
    await daemon?.stop();
    await receiver?.stop();
});

/** A client that notes what works. */
function connect(token) {
    const note = (noun, name) => new Proxy(noun, {
        get: (target, operation) => async (...given) => {
            const answer = await target[operation](...given);
            worked.add(`${name}.${operation}`);
            return answer;
        },
    });
    const plain = new Svix(token, { serverUrl: daemon.url });
    return new Proxy(plain, { get: (target, name) => note(target[name], name) });
}

// --- what the tests share ----------------------------------------------------------------------

const PAYLOAD = { id: 'IDNUMBER1234', name: 'Zoë 😀 \u2028"', at: 1.5, none: null, list: [[]] };
const HOUR_MS = 3600 * 1000;

let count = 0;
const unique = (word) => `${word}-${++count}`;

const makeApp = (more = {}) => client.application.create({ name: unique('app'), ...more });

const secretOf = async (app, endpoint) => (await client.endpoint.getSecret(app, endpoint)).key;

/** An endpoint of the receiver on a path of its own. */
async function subscribe(app, more = {}) {
    const where = `/${unique('hook')}`;
    const made = await client.endpoint.create(app, { url: receiver.url(where), ...more });
    return { ...made, where, secret: await secretOf(app, made.id) };
}

const send = (app, more = {}, options = undefined) =>
    client.message.create(app, { eventType: 'user.updated', payload: PAYLOAD, ...more }, options);

function isSigned(delivery, secret) {
    try {
        const event = new Webhook(secret).verify(delivery.body.toString(), delivery.headers);
        assert.deepEqual(event, JSON.parse(delivery.body));
        return true;
    } catch (error) {
        if (error instanceof WebhookVerificationError)
            return false;
        throw error;
    }
}

const signaturesOf = (delivery) => delivery.headers['webhook-signature'].split(' ');

/** The next delivery to the path is this message, signed with each of `by` and with none of `not`.
 */
async function arrives(where, message, { by, not = [], text = JSON.stringify(PAYLOAD) }) {
    const delivery = await receiver.next(where);

    assert.equal(delivery.method, 'POST');
    assert.equal(delivery.headers['webhook-id'], message.id);
    assert.equal(delivery.body.toString(), text);
    assert.equal(signaturesOf(delivery).length, by.length);
    for (const secret of by)
        assert.ok(isSigned(delivery, secret));
    for (const secret of not)
        assert.ok(!isSigned(delivery, secret));
    verified.add(delivery);
    return delivery;
}

/** It is refused with this status; gives the body. */
async function refused(promise, code) {
    let error;
    await assert.rejects(promise, (thrown) => {
        error = thrown;
        return thrown instanceof ApiException;
    });
    assert.equal(error.code, code, JSON.stringify(error.body));
    assert.match(error.headers['content-type'], /^application\/(problem\+)?json$/);
    return error.body;
}

/** A message's attempts, oldest first, once there are so many. */
async function attemptsOf(app, message, n) {
    const { data } = await until(async () => {
        const page = await client.messageAttempt.listByMsg(app, message);
        return page.data.length >= n && page;
    }, `${n} attempts of ${message}`);

    assert.equal(data.length, n);
    return data.reverse();
}

/** The one endpoint that a message went to, once its delivery stands so. */
const destination = (app, message, status) => until(async () => {
    const { data } = await client.messageAttempt.listAttemptedDestinations(app, message);
    return data[0]?.status === status && data[0];
}, `a delivery of ${message} that stands at ${status}`);

/** What is in a list, gone through page by page, forth and then back again. Its pages are full,
 * unless something is left out of them. */
async function walk(list, limit, { back = true, full = true } = {}) {
    const pages = [];
    const turned = [];
    let page;

    for (let iterator; !page?.done; iterator = page.iterator) {
        page = await list({ limit, iterator });
        pages.push(page);
        assert.ok(pages.length < 100);
    }
    for (const one of full ? pages.slice(0, -1) : [])
        assert.equal(one.data.length, limit);
    for (let last = pages.length === 1 || !back; !last; last = page.done) {
        page = await list({ limit, iterator: page.prevIterator });
        turned.unshift(page);
        assert.ok(turned.length < 100);
    }
    if (back)
        assert.deepEqual([...turned, pages.at(-1)], pages.map((one, i) => (
            { ...one, done: i === 0 || i === pages.length - 1 })));
    return pages.flatMap(({ data }) => data);
}

const idsOf = (items) => items.map(({ id }) => id);

// --- the whole way -----------------------------------------------------------------------------

test('create, send, list attempts, resend, rotate the secret, recover', async () => {
    const since = new Date();
    await client.application.create({ name: 'Shop', uid: 'shop' });
    await client.eventType.create({ name: 'user.updated', description: 'A user has changed.' });
    const { id, where, secret } = await subscribe('shop', { filterTypes: ['user.updated'] });

    const first = await send('shop');
    await arrives(where, first, { by: [secret] });
    const [attempt] = await attemptsOf('shop', first.id, 1);
    assert.equal(attempt.status, MessageStatus.Success);
    assert.equal(attempt.responseStatusCode, 204);
    assert.equal(attempt.endpointId, id);

    await client.messageAttempt.resend('shop', first.id, id);
    await arrives(where, first, { by: [secret] });
    await attemptsOf('shop', first.id, 2);

    await client.endpoint.rotateSecret('shop', id);
    const newer = await secretOf('shop', id);
    await arrives(where, await send('shop'), { by: [newer, secret] });

    receiver.answers(where, 410);
    const lost = await send('shop');
    await arrives(where, lost, { by: [newer, secret] });
    await destination('shop', lost.id, MessageStatus.Fail);
    await until(async () => (await client.endpoint.get('shop', id)).disabled, 'it is disabled');

    receiver.answers(where, 204);
    await client.endpoint.patch('shop', id, { disabled: false });
    const task = await client.endpoint.recover('shop', id, { since });
    assert.equal(task.task, BackgroundTaskType.EndpointRecover);
    await arrives(where, lost, { by: [newer, secret] });
    await destination('shop', lost.id, MessageStatus.Success);
    assert.equal(receiver.at(where).length, 5);
});

test('while the secret changes, a receiver with the old one and one with the new one go on',
    async () => {
        const app = await makeApp();
        const { id, where, secret: older } = await subscribe(app.id);
        await arrives(where, await send(app.id), { by: [older] });

        await client.endpoint.rotateSecret(app.id, id, { gracePeriodSeconds: 1 });
        const newer = await secretOf(app.id, id);
        assert.notEqual(newer, older);
        await until(async () => {
            await send(app.id);
            const delivery = await receiver.next(where);
            const { length } = signaturesOf(delivery);
            assert.ok(isSigned(delivery, newer));
            assert.equal(isSigned(delivery, older), length === 2);
            verified.add(delivery);
            return length === 1;
        }, 'the overlap ends');

        await client.endpoint.rotateSecret(app.id, id, { gracePeriodSeconds: HOUR_MS / 1000 });
        const newest = await secretOf(app.id, id);
        await arrives(where, await send(app.id), { by: [newest, newer], not: [older] });

        const chosen = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
        await client.endpoint.rotateSecret(app.id, id, { key: chosen, gracePeriodSeconds: 0 });
        assert.equal(await secretOf(app.id, id), chosen);
        await arrives(where, await send(app.id), { by: [chosen, newer], not: [newest, older] });
    });

test('a chosen secret, and one that is put in the place of all others at once', async () => {
    const app = await makeApp();
    const own = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
    const { id, where, secret } = await subscribe(app.id, { secret: own });
    const other = `whsec_${Buffer.alloc(24, 2).toString('base64')}`;

    assert.equal(secret, own);
    await arrives(where, await send(app.id), { by: [own] });
    await client.endpoint.patch(app.id, id, { secret: other });
    await arrives(where, await send(app.id), { by: [other], not: [own] });
    await refused(client.endpoint.rotateSecret(app.id, id, { key: 'whsec_short' }), 422);
    await refused(client.endpoint.create(app.id, { url: receiver.url('/'), secret: 'x' }), 422);
});

// --- applications, event types, endpoints ------------------------------------------------------

test('applications: made, found, changed, listed both ways, removed', async () => {
    const uid = unique('shop');
    const made = await client.application.create(
        { name: 'A shop', uid, metadata: { plan: 'gold' }, throttleRate: 50 });

    assert.match(made.id, /^app_\w+$/);
    assert.ok(made.createdAt instanceof Date && made.createdAt.getTime() > 0);
    assert.deepEqual([made.name, made.uid, made.metadata, made.throttleRate, made.rateLimit],
        ['A shop', uid, { plan: 'gold' }, 50, 50]);
    for (const name of [made.id, uid])
        assert.deepEqual(await client.application.get(name), made);
    assert.deepEqual(await client.application.getOrCreate({ name: 'Another', uid }), made);
    const other = await client.application.getOrCreate({ name: 'Another', uid: unique('shop') });
    assert.notEqual(other.id, made.id);

    const patched = await client.application.patch(uid, { metadata: { plan: 'tin' } });
    assert.deepEqual(
        { ...patched, updatedAt: null }, { ...made, metadata: { plan: 'tin' }, updatedAt: null });
    const replaced = await client.application.update(uid, { name: 'A store', uid, rateLimit: 5 });
    assert.deepEqual([replaced.id, replaced.name, replaced.metadata, replaced.throttleRate],
        [made.id, 'A store', {}, 5]);
    const put = await client.application.update(unique('shop'), { name: 'By its path' });
    assert.equal((await client.application.get(put.uid)).id, put.id);

    for (let i = 0; i < 5; i++)
        await makeApp();
    const up = await walk((page) => client.application.list(page), 3);
    const down = await walk(
        (page) => client.application.list({ ...page, order: Ordering.Descending }), 2);
    assert.ok(idsOf(up).includes(made.id));
    assert.deepEqual(down, up.reverse());

    await client.application.delete(uid);
    assert.equal((await refused(client.application.get(made.id), 404)).code, 'not_found');
});

test('event types: made with schemas, changed, archived, listed both ways, removed', async () => {
    const name = unique('invoice.paid');
    const schemas = { 1: { type: 'object', required: ['id'] }, 2: { title: 'Zwö', items: {} } };
    const made = await client.eventType.create(
        { name, description: 'Paid.', schemas, groupName: 'invoice', featureFlag: 'beta' });

    assert.deepEqual(made.schemas, schemas);
    assert.deepEqual(await client.eventType.get(name), made);
    assert.equal((await refused(client.eventType.create({ name, description: '' }), 409)).code,
        'event_type_exists');
    const patched = await client.eventType.patch(name, { deprecated: true });
    assert.deepEqual([patched.deprecated, patched.description, patched.groupName],
        [true, 'Paid.', 'invoice']);
    const replaced = await client.eventType.update(name, { description: 'Paid in full.' });
    assert.deepEqual([replaced.deprecated, replaced.description, replaced.schemas],
        [false, 'Paid in full.', null]);
    await client.eventType.update(unique('invoice.made'), { description: 'New by its path.' });

    const names = async (options) => (await walk(
        (page) => client.eventType.list({ ...page, ...options }), 2)).map((one) => one.name);
    assert.ok((await names()).includes(name));
    assert.deepEqual(await names({ order: Ordering.Descending }), (await names()).reverse());
    await client.eventType.delete(name);
    assert.ok(!(await names()).includes(name));
    assert.ok((await names({ includeArchived: true })).includes(name));
    assert.equal((await client.eventType.get(name)).archived, true);
    assert.equal((await client.eventType.create({ name, description: 'Back.' })).archived, false);
    await client.eventType.delete(name, { expunge: true });
    await refused(client.eventType.get(name), 404);

    const shown = await client.eventType.create({ name, description: '', schemas });
    const { data } = await client.eventType.list({ withContent: true, limit: 250 });
    assert.deepEqual(data.find((one) => one.name === name), shown);
});

test('endpoints: made, found, changed, listed both ways, removed', async () => {
    const app = await makeApp();
    const uid = unique('crm');
    const more = { uid, description: 'Dünger & Co', channels: ['eu'], filterTypes: ['a.b', 'c.*'],
        metadata: { team: 'x' }, rateLimit: 100, version: 2 };
    const { where, secret, ...made } = await subscribe(app.id, more);

    assert.match(secret, /^whsec_/);
    for (const [name, value] of Object.entries(more))
        assert.deepEqual(made[name], value, name);
    assert.equal(made.disabled, false);
    for (const name of [made.id, uid])
        assert.deepEqual(await client.endpoint.get(app.id, name), made);

    const url = receiver.url('/other');
    const patched = await client.endpoint.patch(app.id, uid, { url, channels: null });
    assert.deepEqual({ ...patched, updatedAt: null },
        { ...made, url, channels: null, updatedAt: null });
    const replaced = await client.endpoint.update(app.id, uid, { url, throttleRate: 7 });
    assert.deepEqual([replaced.id, replaced.description, replaced.filterTypes, replaced.rateLimit],
        [made.id, '', null, 7]);
    assert.equal(await secretOf(app.id, made.id), secret);
    const put = await client.endpoint.update(app.id, 'by-its-path', { url, uid: 'by-its-path' });
    assert.equal(put.uid, 'by-its-path');

    for (let i = 0; i < 4; i++)
        await subscribe(app.id);
    const list = (order) => walk((page) => client.endpoint.list(app.id, { ...page, order }), 2);
    assert.equal((await list()).length, 6);
    assert.deepEqual(await list(Ordering.Ascending), (await list(Ordering.Descending)).reverse());

    await client.endpoint.delete(app.id, put.id);
    await refused(client.endpoint.get(app.id, put.id), 404);
    assert.equal((await list()).length, 5);
});

test('headers of an endpoint: sent, shown unless secret, changed, taken away', async () => {
    const app = await makeApp();
    const { id, where, secret } = await subscribe(app.id, { headers: { 'X-Tenant': 'one' } });
    const sent = async () => (await arrives(where, await send(app.id), { by: [secret] })).headers;

    assert.equal((await sent())['x-tenant'], 'one');
    await client.endpoint.patchHeaders(
        app.id, id, { headers: { Authorization: 'Bearer of-the-receiver', 'X-More': 'yes' } });
    assert.deepEqual(await client.endpoint.getHeaders(app.id, id),
        { headers: { 'X-Tenant': 'one', 'X-More': 'yes' }, sensitive: ['Authorization'] });
    const headers = await sent();
    assert.deepEqual([headers['x-tenant'], headers['x-more'], headers.authorization],
        ['one', 'yes', 'Bearer of-the-receiver']);

    await client.endpoint.headersPatch(
        app.id, id, { headers: { 'X-More': 'no' }, deleteHeaders: ['x-tenant'] });
    assert.deepEqual(await client.endpoint.getHeaders(app.id, id),
        { headers: { 'X-More': 'no' }, sensitive: ['Authorization'] });
    await client.endpoint.updateHeaders(app.id, id, { headers: { 'X-Only': 'this' } });
    assert.deepEqual(await client.endpoint.getHeaders(app.id, id),
        { headers: { 'X-Only': 'this' }, sensitive: [] });
    await client.endpoint.headersUpdate(app.id, id, { headers: {} });
    assert.equal((await sent())['x-only'], undefined);
    await refused(client.endpoint.updateHeaders(app.id, id, { headers: { 'a b': 'c' } }), 422);
});

test('who gets what: types, channels, disabled endpoints', async () => {
    const app = await makeApp();
    const all = await subscribe(app.id);
    const eu = await subscribe(app.id, { channels: ['eu', 'uk'] });
    const orders = await subscribe(app.id, { filterTypes: ['order.*'] });
    const off = await subscribe(app.id, { disabled: true });
    const toWhom = async (more) => {
        const { id } = await send(app.id, more);
        const { data } = await client.messageAttempt.listAttemptedDestinations(app.id, id);
        return idsOf(data).sort();
    };
    const ids = (...endpoints) => idsOf(endpoints).sort();

    assert.deepEqual(await toWhom({}), ids(all));
    assert.deepEqual(await toWhom({ channels: ['uk', 'us'] }), ids(all, eu));
    assert.deepEqual(await toWhom({ channels: ['us'], eventType: 'order.paid' }), ids(all, orders));
    await client.endpoint.patch(app.id, off.id, { disabled: false });
    assert.deepEqual(await toWhom({ channels: ['eu'], eventType: 'orders.paid' }),
        ids(all, eu, off));
    for (const [{ where, secret }, n] of [[all, 4], [eu, 2], [orders, 1], [off, 1]])
        for (let i = 0; i < n; i++) {
            const delivery = await receiver.next(where);
            assert.ok(isSigned(delivery, secret));
            verified.add(delivery);
        }
});

test('examples of event types', async () => {
    const app = await makeApp();
    const { id, where, secret } = await subscribe(app.id, { filterTypes: ['none.of.them'] });
    const name = unique('thing.made');
    const examples = [{ n: 1 }, { n: 2 }];
    await client.eventType.create({ name, description: '', schemas: { 1: { examples } } });

    for (const exampleIndex of [undefined, 0, 1]) {
        const message = await client.endpoint.sendExample(
            app.id, id, { eventType: name, exampleIndex });
        const example = examples[exampleIndex ?? 0];
        assert.deepEqual(message.payload, example);
        await arrives(where, message, { by: [secret], text: JSON.stringify(example) });
    }
    const without = { eventType: unique('other.type') };
    await refused(client.endpoint.sendExample(app.id, id, without), 422);
});

// --- messages ----------------------------------------------------------------------------------

test('messages: made, found, repeated, forgotten', async () => {
    const app = await makeApp();
    const { where, secret } = await subscribe(app.id);
    const eventId = unique('evt');
    const message = await send(app.id, { eventId, channels: ['eu'], tags: ['first'] });

    assert.match(message.id, /^msg_\w+$/);
    assert.deepEqual([message.eventId, message.channels, message.tags, message.deliverAt],
        [eventId, ['eu'], ['first'], null]);
    await arrives(where, message, { by: [secret] });
    assert.deepEqual(await client.message.get(app.id, message.id), message);
    assert.deepEqual((await client.message.get(app.id, message.id, { withContent: false })).payload,
        {});

    assert.equal((await refused(send(app.id, { eventId }), 409)).code, 'conflict');
    const idempotencyKey = unique('key');
    const once = await send(app.id, {}, { idempotencyKey });
    assert.equal((await send(app.id, {}, { idempotencyKey })).id, once.id);
    await refused(send(app.id, { eventType: 'another' }, { idempotencyKey }), 422);
    await arrives(where, once, { by: [secret] });
    assert.equal(receiver.at(where).length, 2);

    await client.message.expungeContent(app.id, message.id);
    assert.deepEqual((await client.message.get(app.id, message.id)).payload, { expired: true });
});

test('messages: a raw payload byte for byte, an application that comes along', async () => {
    const raw = '{ "a" : 1.50,\n\t"b":"\\u00fc", "a2":1e3 }';
    const uid = unique('late');
    const fresh = await client.message.create(
        uid, { ...messageInRaw('a.b', raw), application: { name: 'Came along', uid } });
    assert.equal((await client.application.get(uid)).name, 'Came along');
    assert.deepEqual((await client.message.get(uid, fresh.id)).payload, JSON.parse(raw));

    const { where, secret } = await subscribe(uid);
    const plain = await client.message.create(uid, messageInRaw('a.b', raw));
    const delivery = await arrives(where, plain, { by: [secret], text: raw });
    assert.equal(delivery.headers['content-type'], 'application/json');
    const typed = await client.message.create(
        uid, messageInRaw('a.b', raw, 'application/vnd.shop+json'));
    const other = await arrives(where, typed, { by: [secret], text: raw });
    assert.equal(other.headers['content-type'], 'application/vnd.shop+json');
});

test('messages: one that is to leave later waits', async () => {
    const app = await makeApp();
    const { where } = await subscribe(app.id);
    const deliverAt = new Date(Date.now() + HOUR_MS);
    const message = await send(app.id, { deliverAt });

    assert.deepEqual(message.deliverAt, deliverAt);
    assert.deepEqual((await client.message.get(app.id, message.id)).deliverAt, deliverAt);
    const { nextAttempt } = await destination(app.id, message.id, MessageStatus.Pending);
    assert.deepEqual(nextAttempt, deliverAt);
    assert.equal(receiver.at(where).length, 0);
    await refused(send(app.id, { deliverAt: new Date('2222-02-22') }), 422);
});

test('lists of more than 250: messages and attempts, each once and verified', async () => {
    const app = await makeApp();
    const { id, where, secret } = await subscribe(app.id);
    const made = [];
    for (let i = 0; i < 260; i += 20)
        made.push(...await Promise.all(Array.from({ length: 20 }, (_, k) => send(app.id, {
            eventType: k % 2 ? 'odd' : 'even',
            channels: k % 4 ? ['a'] : ['b'],
            tags: k % 5 ? null : ['fifth'],
            payload: { n: i + k },
        }))));
    const newest = idsOf(made).sort().reverse();
    await until(() => receiver.at(where).length >= made.length, 'all deliveries are there');
    for (const delivery of receiver.at(where)) {
        assert.ok(isSigned(delivery, secret));
        verified.add(delivery);
    }
    assert.deepEqual(
        receiver.at(where).map(({ headers }) => headers['webhook-id']).sort().reverse(), newest);
    await until(async () => (await client.endpoint.getStats(app.id, id)).success === made.length,
        'all are counted');

    for (const limit of [250, 100]) {
        const all = await walk((page) => client.message.list(app.id, page), limit);
        assert.deepEqual(idsOf(all), newest);
        assert.deepEqual(all, [...made].sort((a, b) => (a.id < b.id ? 1 : -1)));
        const attempts = await walk((page) => client.messageAttempt.listByEndpoint(
            app.id, id, { ...page, withContent: false }), limit, { back: false });
        assert.deepEqual(attempts.map(({ msgId }) => msgId).sort().reverse(), newest);
        const attempted = await walk((page) => client.messageAttempt.listAttemptedMessages(
            app.id, id, page), limit);
        assert.deepEqual(idsOf(attempted), newest);
    }
    const count = async (options) => (await walk((page) => client.message.list(
        app.id, { ...page, ...options }), 250, { back: false, full: !options.tag })).length;
    assert.equal(await count({ eventTypes: ['odd'] }), 130);
    assert.equal(await count({ eventTypes: ['odd', 'even'] }), 260);
    assert.equal(await count({ channel: 'b' }), 65);
    assert.equal(await count({ tag: 'fifth' }), 52);
    assert.equal(await count({ after: new Date(Date.now() + HOUR_MS) }), 0);
    assert.equal(await count({ before: new Date(Date.now() + HOUR_MS) }), 260);
    const { data } = await client.message.list(app.id, { limit: 1, withContent: false });
    assert.deepEqual(data[0].payload, {});
    await refused(client.message.list(app.id, { limit: 251 }), 422);
    await refused(client.message.list(app.id, { iterator: 'nonsense' }), 422);
});

// --- attempts ----------------------------------------------------------------------------------

test('attempts: of a message, of an endpoint, one, filtered, sent again, forgotten', async () => {
    const start = new Date();
    const app = await makeApp();
    const good = await subscribe(app.id);
    const bad = await subscribe(app.id, { channels: ['eu'] });
    const slow = { retry: [HOUR_MS / 1000] }; // its second attempt is not to come meanwhile
    await daemon.call('PATCH', `/app/${app.id}/endpoint/${bad.id}`, slow);
    receiver.answers(good.where, 200, 'Thank you: ü');
    receiver.answers(bad.where, 500, 'no');
    const message = await send(app.id, { channels: ['eu'] });
    await arrives(good.where, message, { by: [good.secret] });
    await arrives(bad.where, message, { by: [bad.secret] });
    const attempts = await attemptsOf(app.id, message.id, 2);
    const [one, two] = [good, bad].map(
        ({ id }) => attempts.find(({ endpointId }) => endpointId === id));

    assert.deepEqual([one.msgId, one.url, one.status, one.statusText, one.response],
        [message.id, good.url, MessageStatus.Success, 'success', 'Thank you: ü']);
    assert.equal(one.triggerType, MessageAttemptTriggerType.Scheduled);
    assert.ok(one.timestamp >= start && one.timestamp <= new Date());
    assert.ok(Number.isInteger(one.responseDurationMs));
    assert.deepEqual([two.status, two.statusText, two.responseStatusCode, two.response],
        [MessageStatus.Fail, 'fail', 500, 'no']);

    const { messageAttempt } = client;
    const listed = async (options) => (await messageAttempt.listByMsg(
        app.id, message.id, options)).data;
    const later = new Date(Date.now() + HOUR_MS);
    for (const options of [
        { status: MessageStatus.Success }, { statusCodeClass: StatusCodeClass.Code2xx },
        { endpointId: good.id }, { status: MessageStatus.Success, channel: 'eu' },
    ])
        assert.deepEqual(await listed(options), [one], JSON.stringify(options));
    for (const options of [
        { status: MessageStatus.Fail }, { statusCodeClass: StatusCodeClass.Code5xx },
        { endpointId: bad.id }, { endpointId: bad.id, eventTypes: ['x', 'user.updated'] },
    ])
        assert.deepEqual(await listed(options), [two], JSON.stringify(options));
    for (const options of [
        { eventTypes: ['x'] }, { channel: 'us' }, { after: later }, { before: start },
        { statusCodeClass: StatusCodeClass.Code4xx }, { statusCodeClass: StatusCodeClass.CodeNone },
    ])
        assert.deepEqual(await listed(options), [], JSON.stringify(options));
    assert.equal((await listed({ withContent: false }))[0].response, '');
    const each = await walk((page) => messageAttempt.listByMsg(app.id, message.id, page), 1,
        { back: false });
    assert.deepEqual(each, attempts.reverse());
    assert.deepEqual((await messageAttempt.listByEndpoint(app.id, bad.id)).data, [two]);
    assert.deepEqual(await messageAttempt.get(app.id, message.id, one.id), one);

    const destinations = await walk((page) => messageAttempt.listAttemptedDestinations(
        app.id, message.id, page), 1, { back: false });
    assert.deepEqual(idsOf(destinations).sort(), [good.id, bad.id].sort());
    const failing = destinations.find(({ id }) => id === bad.id);
    assert.equal(failing.status, MessageStatus.Pending);
    assert.ok(failing.nextAttempt > two.timestamp);
    const attempted = async (options) => (await messageAttempt.listAttemptedMessages(
        app.id, bad.id, options)).data;
    const [pending] = await attempted({ status: MessageStatus.Pending });
    assert.deepEqual([pending.id, pending.payload, pending.nextAttempt],
        [message.id, PAYLOAD, failing.nextAttempt]);
    assert.deepEqual(await attempted({ status: MessageStatus.Success }), []);
    const { pending: waiting, success } = await client.endpoint.getStats(app.id, bad.id);
    assert.deepEqual([waiting, success], [1, 0]);
    const stats = await client.endpoint.getStats(app.id, good.id, { since: start, until: later });
    assert.deepEqual(stats, { success: 1, pending: 0, sending: 0, fail: 0, canceled: 0 });

    await messageAttempt.resend(app.id, message.id, good.id);
    await arrives(good.where, message, { by: [good.secret] });
    const again = (await attemptsOf(app.id, message.id, 3)).find(
        ({ id, endpointId }) => endpointId === good.id && id !== one.id);
    assert.equal(again.triggerType, MessageAttemptTriggerType.Manual);
    assert.deepEqual(await messageAttempt.get(app.id, message.id, again.id), again);
    assert.deepEqual(await messageAttempt.get(app.id, message.id, one.id), one);

    await messageAttempt.expungeContent(app.id, message.id, one.id);
    assert.equal((await messageAttempt.get(app.id, message.id, one.id)).response, '');
    await refused(messageAttempt.get(app.id, message.id, 'atmpt_none'), 404);
});

test('recover what failed, replay what is missing', async () => {
    const since = new Date();
    const app = await makeApp();
    const { id, where, secret } = await subscribe(app.id);
    const lost = [];
    receiver.answers(where, 410);
    lost.push(await send(app.id));
    await arrives(where, lost[0], { by: [secret] });
    await destination(app.id, lost[0].id, MessageStatus.Fail);
    await until(async () => (await client.endpoint.get(app.id, id)).disabled, 'it is disabled');
    lost.push(await send(app.id, { eventType: 'a.b' }));
    const late = await subscribe(app.id, { filterTypes: ['a.b'] });

    receiver.answers(where, 204);
    const { data } = await client.messageAttempt.listAttemptedDestinations(app.id, lost[1].id);
    assert.deepEqual(data, []);
    await client.endpoint.patch(app.id, id, { disabled: false });
    const recovery = await client.endpoint.recover(
        app.id, id, { since, until: new Date(Date.now() + HOUR_MS) });
    assert.deepEqual([recovery.task, recovery.status.length > 0, typeof recovery.id],
        [BackgroundTaskType.EndpointRecover, true, 'string']);
    await arrives(where, lost[0], { by: [secret] });
    const replay = await client.endpoint.replayMissing(app.id, id, { since });
    assert.equal(replay.task, BackgroundTaskType.EndpointReplay);
    await arrives(where, lost[1], { by: [secret] });
    await client.endpoint.replayMissing(app.id, late.id, { since });
    await arrives(late.where, lost[1], { by: [late.secret] });
    await destination(app.id, lost[0].id, MessageStatus.Success);
    assert.equal(receiver.at(where).length, 3);
    assert.equal(receiver.at(late.where).length, 1);
    await refused(client.endpoint.recover(
        app.id, id, { since: new Date(Date.now() + HOUR_MS) }), 422);

    const finished = await until(async () => {
        const task = await client.backgroundTask.get(recovery.id);
        return task.status === BackgroundTaskStatus.Finished && task;
    }, 'it has recovered');
    assert.deepEqual([finished.id, finished.task, finished.data.appId, finished.data.endpointId],
        [recovery.id, BackgroundTaskType.EndpointRecover, app.id, id]);
    assert.ok(finished.updatedAt >= since);
    const tasks = (options) => client.backgroundTask.list(options);
    const all = await walk(tasks, 2);
    assert.ok(all.length >= 3);
    assert.ok(idsOf(all).includes(replay.id));
    assert.deepEqual(
        idsOf(await walk((page) => tasks({ ...page, order: Ordering.Ascending }), 2)),
        idsOf(all).reverse());
    const { data: recovers } = await tasks({ task: BackgroundTaskType.EndpointRecover });
    assert.ok(idsOf(recovers).includes(recovery.id) && !idsOf(recovers).includes(replay.id));
    assert.deepEqual((await client.backgroundTask.listByEndpoint({ limit: 1 })).data.length, 1);
    await refused(client.backgroundTask.get('rpl_none'), 404);
});

// --- who may do what ---------------------------------------------------------------------------

test('a visitor of the portal sees one application alone, until it leaves', async () => {
    const [own, other] = [await makeApp(), await makeApp()];
    const { id } = await subscribe(own.id);
    const { token, url } = await client.authentication.appPortalAccess(own.id, { expiry: 3600 });
    const visitor = connect(token);

    assert.ok(new URL(url).hash.includes(token));
    assert.equal((await visitor.application.get(own.id)).id, own.id);
    assert.deepEqual(idsOf((await visitor.endpoint.list(own.id)).data), [id]);
    const made = await visitor.endpoint.create(own.id, { url: receiver.url('/nobody') });
    await visitor.endpoint.delete(own.id, made.id);
    assert.equal((await refused(visitor.application.get(other.id), 404)).code, 'not_found');
    await refused(visitor.endpoint.list(other.id), 404);
    for (const trespass of [
        () => visitor.application.list(),
        () => visitor.application.create({ name: 'Mine' }),
        () => visitor.application.delete(own.id),
        () => visitor.eventType.create({ name: 'mine', description: '' }),
        () => visitor.message.create(own.id, { eventType: 'a', payload: {} }),
        () => visitor.authentication.appPortalAccess(own.id),
    ])
        assert.equal((await refused(trespass(), 403)).code, 'insufficient_access');

    await visitor.authentication.logout();
    assert.equal((await refused(visitor.endpoint.list(own.id), 401)).code, 'authentication_failed');
    await client.authentication.logout();
    await client.application.list();
});

test('a visitor sees the event types that its flags open', async () => {
    const app = await makeApp();
    const names = {};
    for (const [word, flags] of Object.entries({
        open: {}, none: { featureFlags: [] }, old: { featureFlag: 'beta' },
        beta: { featureFlags: ['beta', 'gamma'] }, gamma: { featureFlags: ['gamma'] },
    })) {
        names[word] = unique(word);
        const type = await client.eventType.create(
            { name: names[word], description: '', ...flags });
        assert.deepEqual([type.featureFlag, type.featureFlags],
            [flags.featureFlag ?? null, flags.featureFlags ?? null]);
    }
    const seen = async (featureFlags) => {
        const access = await client.authentication.appPortalAccess(app.id, { featureFlags });
        const visitor = connect(access.token);
        const all = await walk((page) => visitor.eventType.list(page), 250);
        const ours = Object.entries(names).filter(
            ([, name]) => all.some((type) => type.name === name));
        for (const [, name] of ours)
            await visitor.eventType.get(name);
        return ours.map(([word]) => word);
    };

    assert.deepEqual(await seen(undefined), ['open', 'none']);
    assert.deepEqual(await seen(['beta']), ['open', 'none', 'old', 'beta']);
    assert.deepEqual(await seen(['x', 'gamma']), ['open', 'none', 'beta', 'gamma']);
});

test('a visitor who may only read', async () => {
    const uid = unique('along');
    const { token } = await client.authentication.appPortalAccess(
        uid, { readOnly: true, application: { name: 'Came along', uid } });
    const visitor = connect(token);

    assert.equal((await visitor.application.get(uid)).name, 'Came along');
    await refused(visitor.endpoint.create(uid, { url: receiver.url('/nobody') }), 403);
    const capabilities = [AppPortalCapability.ViewBase];
    const { detail } = await refused(
        client.authentication.appPortalAccess(uid, { capabilities }), 422);
    assert.deepEqual(detail[0].loc, ['body', 'capabilities']);
});

test('health', async () => {
    await client.health.get();
});

// --- errors ------------------------------------------------------------------------------------

test('errors arrive as exceptions of the client, with code and body', async () => {
    const uid = unique('taken');
    const app = await makeApp({ uid });
    const stranger = new Svix('not-a-key', { serverUrl: daemon.url });
    const big = { text: 'x'.repeat(9 * 1024 * 1024) };

    assert.deepEqual(await refused(client.application.get('no/pe ü'), 404),
        { code: 'not_found', detail: 'Entity not found' });
    assert.equal((await refused(client.application.create({ name: 'a', uid }), 409)).code,
        'conflict');
    assert.equal((await refused(stranger.application.list(), 401)).code, 'authentication_failed');
    const { detail } = await refused(
        client.endpoint.create(app.id, { url: 'nowhere', filterTypes: [] }), 422);
    assert.deepEqual(detail.map(({ loc }) => loc), [['body', 'filterTypes'], ['body', 'url']]);
    for (const { msg, type } of detail)
        assert.ok(msg.length > 0 && type.startsWith('value_error'));
    assert.deepEqual((await refused(client.endpoint.create(app.id, {}), 422)).detail[0].loc,
        ['body', 'url']);
    await refused(send(app.id, { payload: big }), 413);
    await refused(client.application.get('x'.repeat(10_000)), 414);
    await refused(send(app.id, {}, { idempotencyKey: 'x'.repeat(300) }), 400);
});

test('the same request again: the first answer', async () => {
    const options = { idempotencyKey: unique('key') };
    const app = await client.application.create({ name: 'Once' }, options);

    assert.deepEqual(await client.application.create({ name: 'Once' }, options), app);
    await refused(client.application.create({ name: 'Twice' }, options), 422);
});

// --- nothing is missing ------------------------------------------------------------------------

/** The client's operations, by "noun.operation" or "noun.noun.operation". */
function operationsOf(noun, name = '') {
    const all = [];
    for (const [key, { get, value }] of Object.entries(
        Object.getOwnPropertyDescriptors(Object.getPrototypeOf(noun))))
        if (get)
            all.push(...operationsOf(noun[key], `${name}${key}.`));
        else if (key !== 'constructor')
            all.push({ name: `${name}${key}`, run: value, noun });
    return all;
}

test('what the client can do was done here, or is left out as the documentation says', async () => {
    const page = fs.readFileSync(
        new URL('../../docs/svix-compatibility.md', import.meta.url), 'utf8');
    const section = page.split(/^## What Svix's clients have besides$/m)[1].split(/^## /m)[0];
    const cells = section.match(/^\| `[^|]*\|/gm).join('');
    const leftOut = cells.match(/`[^`]+`/g).map((name) => name.slice(1, -1));
    const covers = (entry, name) =>
        entry === name || (entry.endsWith('*') && name.startsWith(entry.slice(0, -1)));
    const isLeftOut = (name) => leftOut.some((entry) => covers(entry, name));
    const operations = operationsOf(new Svix(TOKEN, { serverUrl: daemon.url }));

    for (const entry of leftOut)
        assert.ok(operations.some(({ name }) => covers(entry, name)), entry);
    for (const { name, run, noun } of operations) {
        assert.notEqual(worked.has(name), isLeftOut(name), name);
        if (worked.has(name))
            continue;
        const parameters = Array(run.length).fill({ since: new Date(0), events: [] });
        const error = await run.apply(noun, parameters).then(() => null, (thrown) => thrown);
        assert.ok(error instanceof ApiException, `${name}: ${error}`);
        assert.ok([404, 405].includes(error.code), `${name}: ${error.code}`);
        assert.ok(error.body.code);
    }
});

test('every delivery was verified', () => {
    assert.deepEqual(receiver.deliveries.filter((delivery) => !verified.has(delivery)), []);
    assert.ok(verified.size > 300);
});
