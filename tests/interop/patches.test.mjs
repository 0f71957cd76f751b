// Patches that Grapnel makes, applied by other people's libraries: they bring about what is wanted,
// and nothing else. The plain applier of the unit tests is held to the public json-patch-tests.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import fastJsonPatch from 'fast-json-patch';
import * as rfc6902 from 'rfc6902';
import { patchBodyValidation, scimPatch } from 'scim-patch';

import { ask, dice } from './json_print.mjs';

const copy = (value) => structuredClone(value);
const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

// --- JSON Patch ----------------------------------------------------------------------------------

const pairs = 3000;
const scalars = [null, true, false, 0, 1, -2.5, '', 'a', 'é😀', '~/"\\'];
const names = ['a', 'b/c', 'm~n', '', '"', 'ü', '0'];

function value(roll, depth) {
    const kind = depth ? roll(4) : 0;
    if (kind === 0)
        return scalars[roll(scalars.length)];
    const n = roll(5);
    if (kind === 1)
        return Array.from({ length: n }, () => value(roll, depth - 1));
    return Object.fromEntries(Array.from({ length: n },
        () => [names[roll(names.length)], value(roll, depth - 1)]));
}

function object(roll) {
    for (;;) {
        const made = value(roll, 3);
        if (isObject(made))
            return made;
    }
}

/** RFC 7396 as its section 2 puts it. */
function merged(target, patch) {
    if (!isObject(patch))
        return patch;
    const result = isObject(target) ? { ...target } : {};
    for (const [name, change] of Object.entries(patch)) {
        if (change === null)
            delete result[name];
        else
            result[name] = merged(result[name], change);
    }
    return result;
}

for (const format of ['json-patch', 'json-patch-test']) {
    test(`${format}: two libraries come to what the merge patch means`, () => {
        const roll = dice(6902);
        const cases = Array.from({ length: pairs }, () => [object(roll), object(roll)]);
        const patches = ask(cases.map(([have, want]) => ['diff', format, have, want]));
        let differing = 0;

        cases.forEach(([have, want], i) => {
            const goal = merged(have, want);
            const patch = patches[i];
            // A null that is there and wanted is left as it is.
            if (patch === null)
                return;
            differing++;
            const byOne = copy(have);
            assert.deepEqual(rfc6902.applyPatch(byOne, copy(patch)).filter(Boolean), []);
            const byOther = fastJsonPatch.applyPatch(copy(have), copy(patch), true).newDocument;
            assert.deepEqual(byOther, byOne);
            assert.deepEqual(withoutKeptNulls(byOne, want), withoutKeptNulls(goal, want));
        });
        assert.ok(differing > pairs / 2, `${differing} of ${pairs}`);
    });
}

/** What `want` asks to be gone may stay as the null that it was. */
function withoutKeptNulls(value, want) {
    if (!isObject(value) || !isObject(want))
        return value;
    return Object.fromEntries(Object.entries(value)
        .filter(([name, one]) => !(one === null && want[name] === null))
        .map(([name, one]) => [name, withoutKeptNulls(one, want[name])]));
}

test('json-patch-test: what changed meanwhile is refused by both libraries', () => {
    const [patch] = ask([['diff', 'json-patch-test', { a: 1, b: 2 }, { a: 2, b: null }]]);
    for (const changed of [{ a: 3, b: 2 }, { a: 1, b: 3 }]) {
        assert.ok(rfc6902.applyPatch(copy(changed), patch).some(Boolean));
        assert.throws(() => fastJsonPatch.applyPatch(copy(changed), patch, true));
    }
});

test('the unit tests\' applier passes the public json-patch-tests', () => {
    const require = createRequire(import.meta.url);
    let n = 0;
    for (const file of ['tests.json', 'spec_tests.json']) {
        const path = require.resolve(`json-patch-test-suite/${file}`);
        const cases = JSON.parse(readFileSync(path, 'utf8'))
            .filter((one) => one.patch !== undefined && !one.disabled);
        const answers = ask(cases.map((one) => ['apply', one.doc, one.patch]));
        cases.forEach((one, i) => {
            const what = `${file}: ${one.comment ?? JSON.stringify(one.patch)}`;
            if (one.error !== undefined)
                assert.equal(answers[i], false, what);
            else
                assert.deepEqual(answers[i], [one.expected ?? one.doc], what);
            n++;
        });
    }
    assert.ok(n >= 90, `${n}`);
});

// --- SCIM ----------------------------------------------------------------------------------------

const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const maybe = (roll, make) => (roll(3) ? make() : undefined);
const word = (roll) => ['x', 'y', 'ü "quoted"', 'a\\b'][roll(4)];

function emails(roll) {
    const kinds = ['work', 'home', 'other'].filter(() => roll(2));
    return kinds.map((type) => ({ type, value: `${roll(3)}@example.com` }));
}

function members(roll) {
    return [1, 2, 3, 4].filter(() => roll(2)).map((n) => ({ value: `m${n}`, display: word(roll) }));
}

/** A part of a resource, without what is undefined. */
function resource(roll, gone, extension) {
    const attribute = (make) => maybe(roll, () => (gone && roll(4) === 0 ? null : make()));
    return JSON.parse(JSON.stringify({
        userName: `user${roll(2)}`,
        active: attribute(() => roll(2) === 0),
        title: attribute(() => word(roll)),
        name: attribute(() => ({
            givenName: attribute(() => word(roll)), familyName: word(roll),
        })),
        emails: attribute(() => emails(roll)),
        members: attribute(() => members(roll)),
        tags: attribute(() => [word(roll), word(roll)]),
        [extension]: maybe(roll, () => ({
            department: attribute(() => word(roll)), costCenter: word(roll),
            manager: attribute(() => ({ value: word(roll) })),
        })),
    }));
}

const isKeyed = (list, key) => list.length > 0 && new Set(list.map((one) => one[key])).size === list.length;

/** Unassigned is left out, and lists whose elements have a key are put in its order. */
function settled(value) {
    if (typeof value === 'string' && ['True', 'False'].includes(value))
        return value === 'True';
    if (Array.isArray(value)) {
        const key = ['type', 'value'].find((one) => value.every(isObject) && isKeyed(value, one));
        const list = value.map(settled);
        return key ? list.sort((a, b) => (a[key] < b[key] ? -1 : 1)) : list;
    }
    if (!isObject(value))
        return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, settled(one)])
        .filter(([, one]) => one !== null && !(Array.isArray(one) && one.length === 0) &&
            !(isObject(one) && Object.keys(one).length === 0))
        .sort(([a], [b]) => (a < b ? -1 : 1)));
}

function wanted(have, want) {
    const result = { ...have };
    for (const [name, change] of Object.entries(want))
        result[name] = isObject(change) && isObject(have[name]) ? wanted(have[name], change) : change;
    return result;
}

for (const format of ['scim', 'scim-entra', 'scim-okta']) {
    test(`${format}: scim-patch comes to what is wanted`, () => {
        const roll = dice(7644);
        // Where there is no path, scim-patch takes the name of an extension for one: there it gets
        // an object of another name.
        const extension = format === 'scim-okta' ? 'extension' : enterprise;
        const cases = Array.from({ length: pairs }, () => [
            { schemas: [extension], ...resource(roll, false, extension) },
            resource(roll, true, extension)]);
        const patches = ask(cases.map(([have, want]) => ['diff', format, have, want]));
        let differing = 0;

        cases.forEach(([have, want], i) => {
            const goal = settled(wanted(have, want));
            if (patches[i] === null) {
                assert.deepEqual(settled(have), goal, `nothing for case ${i}`);
                return;
            }
            differing++;
            patchBodyValidation(patches[i]);
            const now = scimPatch(copy(have), copy(patches[i]).Operations);
            assert.deepEqual(settled(now), goal,
                `${JSON.stringify(have)}\n${JSON.stringify(want)}\n${JSON.stringify(patches[i])}`);
        });
        assert.ok(differing > pairs / 2, `${differing} of ${pairs}`);
    });
}

test('scim-okta: what is set has no path, and scim-entra writes its ops with a capital', () => {
    const have = { active: true, title: 'x' };
    const [okta, entra] = ask(['scim-okta', 'scim-entra'].map(
        (format) => ['diff', format, have, { active: false, title: null }]));
    assert.deepEqual(okta.Operations, [
        { op: 'replace', value: { active: false } }, { op: 'remove', path: 'title' }]);
    assert.deepEqual(entra.Operations, [
        { op: 'Replace', path: 'active', value: 'False' }, { op: 'Remove', path: 'title' }]);
});
