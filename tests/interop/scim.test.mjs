// examples/scim as it stands: the identity service of examples/onboarding, the daemon, and a
// directory whose SCIM is npm scimmy's (scim_server.mjs), in three processes. What has become of a
// user is read back from the directory itself, and its log tells what was written, and how often.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Daemon, until } from './house.mjs';

const example = (name) => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const CONFIG = fs.readFileSync(example('scim/grapnel.yaml'), 'utf8');
const AS = '          as: scim\n';

const ID = 'IDNUMBER7777';
const VENLA = {
    id: ID, firstName: 'Venla', lastName: 'Mäkinen', email: 'venla@example.com',
    phone: '+358 41 765 4321',
};
const USER_SCHEMA = 'urn:ietf:params:scim:schemas:core:2.0:User';
const work = (value) => [{ type: 'work', value }];
const patchOp = (...Operations) => (
    { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations });

function freePort() {
    return new Promise((resolve) => {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

/** Those that run: none outlives the tests. */
const children = new Set();
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** A program that says in its first line where it listens. */
class Program {
    #child;
    #ended;
    #text = '';

    static async start(command, args, environment) {
        const program = new Program();
        await program.#start(command, args, environment);
        return program;
    }

    async #start(command, args, environment) {
        this.#child = spawn(command, args, { env: { ...process.env, ...environment } });
        this.#ended = new Promise((resolve) => {
            this.#child.once('close', resolve);
            this.#child.once('error', (error) => {
                this.#text += error;
                resolve(null);
            });
        });
        for (const stream of [this.#child.stdout, this.#child.stderr])
            stream.setEncoding('utf8').on('data', (text) => { this.#text += text; });
        children.add(this.#child);
        const named = () => /^listening on (http:\S+)$/m.exec(this.#text)?.[1];
        this.url = await Promise.race([until(named, 'it listens'), this.#ended]);
        assert.equal(typeof this.url, 'string', `${command} ${args[0]}: ${this.#text}`);
        this.port = new URL(this.url).port;
    }

    async stop() {
        this.#child.kill('SIGTERM');
        await this.#ended;
        children.delete(this.#child);
    }

    async json(method, where, body, headers = {}) {
        const answer = await fetch(this.url + where, {
            method,
            headers: { 'content-type': 'application/json', ...headers },
            body: body && JSON.stringify(body),
        });
        const text = await answer.text();
        return { status: answer.status, body: text ? JSON.parse(text) : null };
    }
}

/** The three, as the example connects them. */
class Scene {
    #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'scim-'));
    #secrets = {
        ONEPORTAL_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
        ID_SECRET: randomBytes(18).toString('base64url'),
        SCIM_TOKEN: randomBytes(18).toString('base64url'),
    };
    #seen = 0;

    static async start({ as = 'scim', directory = [] } = {}) {
        const scene = new Scene();
        await scene.#start(as, directory);
        return scene;
    }

    async #start(as, directory) {
        const port = await freePort();
        await this.startDirectory(...directory);
        this.identity = await Program.start('python3', [
            example('onboarding/identity_service.py'), '--port', '0',
            '--db', path.join(this.#folder, 'identity.db'),
            '--webhook', `http://127.0.0.1:${port}/in/oneportal`,
        ], this.#secrets);
        assert.equal(CONFIG.split(AS).length, 2);
        this.daemon = await Daemon.serve(CONFIG.replace(AS, AS.replace('scim', as)), {
            ...this.#secrets,
            GRAPNEL_PORT: port,
            GRAPNEL_ADMIN_PORT: 0,
            GRAPNEL_DATA: '.',
            IDENTITY_PORT: this.identity.port,
            SCIM_PORT: this.directory.port,
        });
    }

    /** On a free port, later on the same one: with no users. */
    async startDirectory(...more) {
        const script = fileURLToPath(new URL('scim_server.mjs', import.meta.url));
        const port = this.directory?.port ?? '0';
        this.directory = await Program.start(
            process.execPath, [script, '--port', port, ...more], this.#secrets);
        this.#seen = 0;
    }

    async stop() {
        await this.identity?.stop();
        await this.daemon?.stop();
        await this.directory?.stop();
        fs.rmSync(this.#folder, { recursive: true });
    }

    /** What the identity service heard for a change: the status and what stands in the body. */
    async #heard(method, where, body) {
        const { status, body: record } = await this.identity.json(method, where, body);
        assert.equal(status, 200, JSON.stringify(record));
        const { answer } = record;
        return {
            ...JSON.parse(answer.body), status: answer.status, headers: answer.headers,
        };
    }

    create(user) {
        return this.#heard('POST', '/demo/users', user);
    }

    save(changes, id = ID) {
        return this.#heard('POST', `/demo/users/${id}`, changes);
    }

    remove(id = ID) {
        return this.#heard('DELETE', `/demo/users/${id}`);
    }

    /** A request of our own to the directory. */
    async scim(method, where, body) {
        const { status, body: told } = await this.directory.json(method, `/scim/v2${where}`, body,
            { authorization: `Bearer ${this.#secrets.SCIM_TOKEN}` });
        assert.ok(status < 300, JSON.stringify(told));
        return told;
    }

    /** The accounts that the directory has for a user of the identity service. */
    async accounts(id = ID) {
        const filter = encodeURIComponent(`externalId eq "${id}"`);
        return (await this.scim('GET', `/Users?filter=${filter}`)).Resources;
    }

    /** The only one. */
    async account(id = ID) {
        const found = await this.accounts(id);
        assert.equal(found.length, 1, JSON.stringify(found));
        return found[0];
    }

    /** What Grapnel has asked of the directory since this was last called. */
    async asked() {
        const { body: all } = await this.directory.json('GET', '/demo/requests');
        const fresh = all.slice(this.#seen);
        this.#seen = all.length;
        return fresh.filter(({ agent }) => agent.startsWith('grapnel/'));
    }

    /** One search and one write since then; gives the body of the write. */
    async written(method, status) {
        const asked = await this.asked();
        assert.deepEqual(asked.map((one) => [one.method, one.status]),
            [['GET', 200], [method, status]], JSON.stringify(asked));
        return asked[1].body;
    }

    /** One search since then, and nothing was written. */
    async onlyRead() {
        const asked = await this.asked();
        assert.deepEqual(asked.map((one) => [one.method, one.status]), [['GET', 200]],
            JSON.stringify(asked));
    }
}

/** It was answered well, with this code. */
function well(heard, code) {
    assert.deepEqual([heard.status, heard.code], [200, code], JSON.stringify(heard));
}

/** It was refused: the status, the code, and what is told beside which field. */
function refused(heard, status, code, errors) {
    assert.deepEqual([heard.status, heard.code, heard.errors],
        [status, code, errors], JSON.stringify(heard));
    assert.equal(heard.headers['content-type'], 'application/problem+json');
}

// --- what differs is sent, and nothing else ----------------------------------------------------

/** An operation as the form writes it. */
const SPELLING = {
    scim: (op) => op,
    'scim-entra': (op) => op[0].toUpperCase() + op.slice(1),
};

for (const [as, spell] of Object.entries(SPELLING))
    describe(`as: ${as}`, () => {
        let s;
        let account;
        const op = (name, where, value) => ({ op: spell(name), path: where, value });
        const removal = (where) => ({ op: spell('remove'), path: where });

        /** The account is still the same one, with these changes and no others. */
        async function became(changes) {
            const now = await s.account();
            const { meta, ...rest } = now;
            const { meta: before, ...expected } = { ...account, ...changes };
            assert.deepEqual(rest, JSON.parse(JSON.stringify(expected)));
            assert.equal(meta.created, before.created);
            account = now;
        }

        before(async () => { s = await Scene.start({ as }); });
        after(() => s?.stop());

        test('a new user gets an account, by POST', async () => {
            const heard = await s.create(VENLA);
            well(heard, 'updated');
            assert.match(heard.message, /^Created in directory: /);
            const sent = await s.written('POST', 201);
            assert.deepEqual(sent.schemas, [USER_SCHEMA]);
            account = await s.account();
            const { id, meta, ...rest } = account;
            assert.ok(id && meta.created);
            assert.deepEqual(rest, {
                schemas: [USER_SCHEMA],
                externalId: ID,
                userName: 'venla@example.com',
                name: { givenName: 'Venla', familyName: 'Mäkinen' },
                emails: [{ ...work('venla@example.com')[0], primary: true }],
                phoneNumbers: work('+358 41 765 4321'),
                active: true,
            });
        });

        test('an e-mail is changed', async () => {
            well(await s.save({ email: 'venla@example.org' }), 'updated');
            assert.deepEqual(await s.written('PATCH', 200), patchOp(
                op('replace', 'userName', 'venla@example.org'),
                op('replace', 'emails[type eq "work"].value', 'venla@example.org')));
            await became({
                userName: 'venla@example.org',
                emails: [{ ...work('venla@example.org')[0], primary: true }],
            });
        });

        test('a name is changed, and what only the directory knows stays', async () => {
            await s.scim('PATCH', `/Users/${account.id}`, patchOp(
                { op: 'add', path: 'title', value: 'Dr' },
                { op: 'add', path: 'name.middleName', value: 'Orvokki' },
                { op: 'add', path: 'emails', value: [{ type: 'home', value: 'v@home.example' }] }));
            account = await s.account();
            assert.equal(account.emails.length, 2);
            // A second e-mail address is the directory's own; the flow says that there is one.
            well(await s.save({ lastName: 'Salo' }), 'updated');
            assert.deepEqual(await s.written('PATCH', 200), patchOp(
                op('replace', 'name.familyName', 'Salo'),
                removal('emails[type eq "home"]')));
            await became({
                name: { givenName: 'Venla', middleName: 'Orvokki', familyName: 'Salo' },
                emails: account.emails.slice(0, 1),
            });
            assert.equal(account.title, 'Dr');
        });

        test('Save again, and nothing is written', async () => {
            well(await s.save({}), 'unchanged');
            well(await s.save({ lastName: 'Salo' }), 'unchanged');
            assert.deepEqual((await s.asked()).map(({ method }) => method), ['GET', 'GET']);
            await became({});
        });

        test('a phone number goes and comes', async () => {
            well(await s.save({ phone: '' }), 'updated');
            assert.deepEqual(await s.written('PATCH', 200), patchOp(removal('phoneNumbers')));
            await became({ phoneNumbers: undefined });

            const phoneNumbers = work('+358 9 123 4567');
            well(await s.save({ phone: phoneNumbers[0].value }), 'updated');
            assert.deepEqual(await s.written('PATCH', 200),
                patchOp(op('add', 'phoneNumbers', phoneNumbers)));
            await became({ phoneNumbers });
        });

        test('a user who was there before the flow gets an account with the first Save', async () => {
            well(await s.save({}, 'IDNUMBER1234'), 'updated');
            await s.written('POST', 201);
            assert.equal((await s.account('IDNUMBER1234')).userName, 'aino.virtanen@example.com');
        });

        test('who is deleted and has no account gets none', async () => {
            well(await s.remove('IDNUMBER2345'), 'unchanged');
            await s.onlyRead();
            assert.deepEqual(await s.accounts('IDNUMBER2345'), []);
        });

        if (as === 'scim-entra')
            // As the page says, too.
            test('scimmy takes no text for a boolean, and the source hears of it', async () => {
                const heard = await s.remove();
                refused(heard, 424, 'target-refused', undefined);
                assert.match(heard.detail,
                    /^Attribute 'active' expected value type 'boolean' but found type 'string' /);
                assert.deepEqual(await s.written('PATCH', 400),
                    patchOp({ op: 'Replace', path: 'active', value: 'False' }));
                await became({});
            });
        else
            test('who is deleted is deactivated, and comes back to the same account', async () => {
                const heard = await s.remove();
                well(heard, 'updated');
                assert.equal(heard.message, 'Deactivated in directory: active.');
                assert.deepEqual(await s.written('PATCH', 200),
                    patchOp(op('replace', 'active', false)));
                await became({ active: false });

                const { phoneNumbers: [{ value: phone }], userName: email } = account;
                well(await s.create({ ...VENLA, lastName: 'Salo', email, phone }), 'updated');
                assert.deepEqual(await s.written('PATCH', 200),
                    patchOp(op('replace', 'active', true)));
                await became({ active: true });
            });
    });

describe('as: scim-okta', () => {
    let s;
    const replacement = (value) => patchOp({ op: 'replace', value });

    before(async () => { s = await Scene.start({ as: 'scim-okta' }); });
    after(() => s?.stop());

    test('what has one value is replaced, and what goes is removed', async () => {
        well(await s.create(VENLA), 'updated');
        await s.written('POST', 201);
        well(await s.save({ lastName: 'Salo', phone: '' }), 'updated');
        const name = { familyName: 'Salo', givenName: 'Venla' };
        assert.deepEqual(await s.written('PATCH', 200), patchOp(
            { op: 'replace', value: { name } }, { op: 'remove', path: 'phoneNumbers' }));
        const account = await s.account();
        assert.deepEqual([account.name, account.phoneNumbers], [name, undefined]);
        well(await s.save({}), 'unchanged');
        await s.onlyRead();
    });

    test('who is deleted is deactivated, and comes back', async () => {
        well(await s.remove(), 'updated');
        assert.deepEqual(await s.written('PATCH', 200), replacement({ active: false }));
        assert.equal((await s.account()).active, false);
        well(await s.create({ ...VENLA, lastName: 'Salo', phone: '' }), 'updated');
        assert.deepEqual(await s.written('PATCH', 200), replacement({ active: true }));
        assert.equal((await s.account()).active, true);
    });

    // By RFC 7644, section 3.5.2.3, they are to be replaced. docs/targets/scim.md says that scimmy
    // does otherwise: when this fails it has learned it, and the page is to be changed.
    test('scimmy adds to lists where it has to replace them', async () => {
        const email = 'venla@example.org';
        const emails = [{ ...work(email)[0], primary: true }];

        well(await s.save({ email }), 'updated');
        assert.deepEqual(await s.written('PATCH', 200), replacement({ userName: email, emails }));
        const there = async () => (await s.account()).emails.map(({ value }) => value);
        assert.deepEqual(await there(), ['venla@example.com', email]);
        well(await s.save({}), 'updated');
        assert.deepEqual(await s.written('PATCH', 200), replacement({ emails }));
        assert.deepEqual(await there(), ['venla@example.com', email, email]);
    });
});

// --- what the directory complains about --------------------------------------------------------

describe('the directory complains', () => {
    let s;
    const SANNI = { ...VENLA, id: 'IDNUMBER8888', firstName: 'Sanni', email: 'sanni@example.com' };

    before(async () => { s = await Scene.start({ directory: ['--require', 'phoneNumbers'] }); });
    after(() => s?.stop());

    test('a stranger is refused', async () => {
        const { status, body } = await s.directory.json('GET', '/scim/v2/Users');
        assert.deepEqual([status, body.detail], [401, 'The bearer token is missing or wrong']);
    });

    test('something is missing that it requires', async () => {
        const missing = "Required attribute 'phoneNumbers' is missing";
        const errors = (detail) => [{ pointer: '/phone', detail, field: 'phoneNumbers' }];
        refused(await s.create({ ...VENLA, phone: '' }), 424, 'target-refused', errors(missing));
        await s.written('POST', 400);
        assert.deepEqual(await s.accounts(), []);

        well(await s.save({ phone: VENLA.phone }), 'updated');
        await s.written('POST', 201);
        refused(await s.save({ phone: '' }), 424, 'target-refused',
            errors(`${missing} for 'remove' op of operation 1 in PatchOp request body`));
        await s.written('PATCH', 400);
        assert.deepEqual((await s.account()).phoneNumbers, work(VENLA.phone));
        well(await s.save({ phone: VENLA.phone }), 'unchanged');
        await s.onlyRead();
    });

    test('a user name is taken', async () => {
        const detail = "Another user has this value of the attribute 'userName' already";
        const errors = [{ pointer: '/email', detail, field: 'userName' }];

        refused(await s.create({ ...SANNI, email: 'Venla@Example.com' }), 409, 'conflict', errors);
        // The first search found none; somebody might have made the account meanwhile.
        assert.deepEqual((await s.asked()).map(({ method, status }) => [method, status]),
            [['GET', 200], ['POST', 409], ['GET', 200]]);
        assert.deepEqual(await s.accounts(SANNI.id), []);

        well(await s.save({ email: SANNI.email }, SANNI.id), 'updated');
        await s.written('POST', 201);
        refused(await s.save({ email: VENLA.email }, SANNI.id), 409, 'conflict', errors);
        await s.written('PATCH', 409);
        assert.equal((await s.account(SANNI.id)).userName, SANNI.email);
        assert.equal((await s.account()).userName, VENLA.email);
    });

    test('it is away, and comes back with nothing in it', async () => {
        await s.directory.stop();
        const heard = await s.save({ lastName: 'Laine', phone: '' });
        refused(heard, 424, 'unreachable', undefined);
        assert.equal(heard.retryable, true);
        assert.ok(Number(heard.headers['retry-after']) > 0);

        await s.startDirectory();
        well(await s.save({}), 'updated');
        await s.written('POST', 201);
        const { name, phoneNumbers } = await s.account();
        assert.deepEqual([name.familyName, phoneNumbers], ['Laine', undefined]);
    });
});
