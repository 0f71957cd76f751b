// The CloudEvents SDK tells of changes by the API, in all three modes.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { CloudEvent, HTTP, emitterFor } from 'cloudevents';

import { Daemon, Receiver, TOKEN, until } from './house.mjs';

const config = (authority) => `
connections: {target: {url: "http://${authority}"}}
sources:
  portal: {verify: internal}
flows:
  out:
    on: portal
    steps:
      - sent: {post: 'target:/out', body: '{of: .meta.id, type: .meta.type, about: .meta.subject, by: .meta.cloudevent, payload: .event}'}
`;

let daemon;
let receiver;

before(async () => {
    receiver = await Receiver.start();
    daemon = await Daemon.start(config(receiver.authority));
});

after(async () => {
    await daemon?.stop();
    await receiver?.stop();
});

/** It is taken; gives what was made of each event. */
async function say({ headers, body }) {
    const answer = await fetch(`${daemon.url}/api/v1/sources/portal/events`,
        { method: 'POST', body, headers: { ...headers, authorization: `Bearer ${TOKEN}` } });
    const text = await answer.text();
    assert.equal(answer.status, 202, text);
    return JSON.parse(text).events;
}

async function mapped({ id }) {
    return until(() => receiver.at('/out').map(({ body }) => JSON.parse(body))
        .find(({ of }) => of === id), `event ${id} leaves`);
}

const make = (id) => new CloudEvent({
    id,
    source: '/portal',
    type: 'com.example.moved',
    subject: 'C-7',
    tenant: 'a b',
    data: { id, city: 'Jyväskylä' },
});

async function arrives(told, event) {
    assert.deepEqual([told.isNew, told.jobs], [true, 1]);
    const { type, about, by, payload } = await mapped(told);
    assert.deepEqual([type, about, payload], ['com.example.moved', 'C-7', event.data]);
    assert.deepEqual([by.id, by.source, by.tenant], [event.id, '/portal', 'a b']);
}

test('binary, structured, and both of the same event', async () => {
    for (const mode of [HTTP.binary, HTTP.structured]) {
        const event = make(`one-${mode === HTTP.binary}`);
        const [told] = await say(mode(event));
        await arrives(told, event);
        for (const again of [HTTP.binary(event), HTTP.structured(event)])
            assert.deepEqual(await say(again), [{ id: told.id, isNew: false }]);
    }
});

test('a batch', async () => {
    const events = [1, 2, 3].map((n) => make(`of-three-${n}`));
    const told = await say({
        headers: { 'content-type': 'application/cloudevents-batch+json' },
        body: JSON.stringify(events),
    });
    assert.equal(told.length, 3);
    for (const [i, one] of told.entries())
        await arrives(one, events[i]);
});

test('an emitter of the SDK', async () => {
    let told;
    const emit = emitterFor(async (message) => { [told] = await say(message); });
    const event = make('emitted');
    await emit(event);
    await arrives(told, event);
});
