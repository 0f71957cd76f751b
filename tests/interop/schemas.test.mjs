// The public JSON-Schema-Test-Suite, draft 2020-12: no verdict is wrong, and what is refused is what
// docs/schemas.md says. SCHEMA_SUITE names the folder draft2020-12 of its tests; it is in no package
// of Debian or npm, so without it this is left out.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ask } from './json_print.mjs';

const suite = process.env.SCHEMA_SUITE ?? '';
const page = fileURLToPath(new URL('../../docs/schemas.md', import.meta.url));
const begin = '<!-- written by tests/interop/schemas.test.mjs: begin -->\n';
const end = '<!-- written by tests/interop/schemas.test.mjs: end -->\n';

/** The parts of the suite that are optional and about what is supported. */
const optional = ['anchor', 'bignum', 'dependencies-compatibility', 'dynamicRef', 'ecmascript-regex',
    'float-overflow', 'id', 'no-schema', 'non-bmp-regex', 'refOfUnknownKeyword', 'unknownKeyword',
    ...['date-time', 'date', 'time', 'email', 'uri', 'uuid', 'ipv4', 'ipv6', 'unknown']
        .map((name) => `format/${name}`)].map((name) => `optional/${name}.json`);
const required = existsSync(suite)
    ? readdirSync(suite).filter((name) => name.endsWith('.json')).sort() : [];

/** Why a schema may be refused. */
const reasons = [
    /'\$ref' leads out of the document/, /'\$dynamicRef' is not supported/,
    /'dependencies' is not supported/, /'\$schema' has to be/, /\\p\{\.\.\.\}, which is not supported/,
];

function run(file) {
    const groups = JSON.parse(readFileSync(join(suite, file), 'utf8'));
    const formats = file.startsWith('optional/format/');
    const answers = ask(groups.map((group) => ['judge', group.schema, formats,
        group.tests.map((one) => one.data)]));
    const count = { right: 0, refused: 0 };

    groups.forEach((group, i) => {
        if (typeof answers[i] === 'string') {
            assert.ok(reasons.some((reason) => reason.test(answers[i])),
                `${group.description}: ${answers[i]}`);
            count.refused += group.tests.length;
            return;
        }
        group.tests.forEach((one, k) => {
            const verdict = answers[i][k];
            assert.ok(verdict === true || Array.isArray(verdict), `${one.description}: ${verdict}`);
            assert.equal(verdict === true, one.valid,
                `${group.description}: ${one.description}: ${JSON.stringify(verdict)}`);
            count.right++;
        });
    });
    return count;
}

const counts = new Map();

const skip = suite ? false : 'SCHEMA_SUITE is not set';

for (const file of suite ? [...required, ...optional] : [])
    test(`schemas: ${file}`, () => counts.set(file, run(file)));

test('schemas: the page tells these numbers', { skip }, () => {
    const sum = (files) => files.reduce((all, file) => ({
        right: all.right + counts.get(file).right, refused: all.refused + counts.get(file).refused,
    }), { right: 0, refused: 0 });
    const row = (name, { right, refused }) => `| ${name} | ${right} | ${refused} |\n`;
    const rows = (files) => files.map((file) => row(`\`${file}\``, counts.get(file))).join('');
    const table = '\n| part of the suite | right | refused |\n|---|---|---|\n' + rows(required) +
        row('**required, together**', sum(required)) + rows(optional) +
        row('**optional, together**', sum(optional)) + '\n';
    const text = readFileSync(page, 'utf8');
    const from = text.indexOf(begin) + begin.length;
    const to = text.indexOf(end);

    assert.ok(required.length >= 46 && sum(required).right >= 1170, `${sum(required).right}`);
    if (process.env.GRAPNEL_WRITE_DOCS)
        writeFileSync(page, text.slice(0, from) + table + text.slice(to));
    else
        assert.equal(text.slice(from, to), table, 'run it with GRAPNEL_WRITE_DOCS=1');
});
