// What the tests with the daemon share: `grapnel serve` in a folder of its own, a receiver that
// keeps every byte, and waiting for a condition. The limits only end a test that hangs.
// GRAPNEL_BINARY names the program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

// Node 18 keeps it behind a flag, and svix makes its idempotency keys with it.
globalThis.crypto ??= webcrypto;

const program = path.resolve(process.env.GRAPNEL_BINARY ??
    fileURLToPath(new URL('../../build/grapnel', import.meta.url)));
const PATIENCE_MS = 30_000;
const PAUSE_MS = 10;

export const TOKEN = 'the-token-of-the-administrator';

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** What `look` gives, once that is true. `what` says what was waited for in vain. */
export async function until(look, what) {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await pause(PAUSE_MS)) {
        const found = await look();
        if (found)
            return found;
    }
    throw new Error(`this did not come about: ${what}`);
}

/** The daemon, on free ports that the system chose. */
export class Daemon {
    #child;
    #lines = [];
    #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'grapnel-'));
    #ended;

    /** `config` is what the file holds beside the listeners, `environment` what it takes from it. */
    static start(config = '', environment = {}) {
        return Daemon.serve([
            'listen: 127.0.0.1:0',
            'admin: 127.0.0.1:0',
            `admin_token: "${TOKEN}"`,
            'ledger: sqlite:grapnel.db',
            'outbound: {allow: [127.0.0.0/8]}',
            'threads: 2',
            config,
        ].join('\n'), environment);
    }

    /** `file` is all that the file holds. */
    static async serve(file, environment) {
        const daemon = new Daemon();
        await daemon.#start(file, environment);
        return daemon;
    }

    async #start(file, environment) {
        fs.writeFileSync(path.join(this.#folder, 'grapnel.yaml'), file);
        this.#child = spawn(program, ['serve', 'grapnel.yaml'],
            {
                cwd: this.#folder,
                stdio: ['ignore', 'ignore', 'pipe'],
                env: { ...process.env, ...environment },
            });
        this.#ended = new Promise((resolve) => {
            this.#child.once('close', resolve);
            this.#child.once('error', (error) => {
                this.#lines.push(String(error));
                resolve(null);
            });
        });
        process.once('exit', () => this.#child.kill('SIGKILL'));
        readline.createInterface({ input: this.#child.stderr })
            .on('line', (line) => this.#lines.push(line));
        const fact = await Promise.race([
            until(() => this.#fact('listening'), 'the daemon listens'), this.#ended]);
        assert.ok(fact?.admin, `it does not start:\n${this.log}`);
        this.url = `http://${fact.admin}`;
        this.door = `http://${fact.webhooks}`;
        await until(async () => (await fetch(`${this.url}/readyz`)).status === 200, 'it is ready');
    }

    #fact(name) {
        return this.#lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
            .find((line) => line.fact === name);
    }

    get log() {
        return this.#lines.join('\n');
    }

    /** One request of the API, for what a client of others cannot say. */
    async call(method, where, body) {
        const answer = await fetch(`${this.url}/api/v1${where}`, {
            method,
            headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
            body: body && JSON.stringify(body),
        });
        const text = await answer.text();
        assert.ok(answer.ok, `${method} ${where}: ${answer.status} ${text}`);
        return text ? JSON.parse(text) : null;
    }

    /** A webhook for a source; `body` is bytes or text. */
    async deliver(source, body, headers, query = '') {
        const answer = await fetch(`${this.door}/in/${source}${query}`,
            { method: 'POST', body, headers });
        return { status: answer.status, text: await answer.text() };
    }

    /** An event as the API shows it, unread: a body stands in it byte for byte. */
    async event(id) {
        const answer = await fetch(`${this.url}/api/v1/events/${id}`,
            { headers: { authorization: `Bearer ${TOKEN}` } });
        assert.equal(answer.status, 200);
        return Buffer.from(await answer.arrayBuffer());
    }

    /** Ends it well, which it must. */
    async stop() {
        this.#child.kill('SIGTERM');
        assert.equal(await this.#ended, 0, this.log);
        fs.rmSync(this.#folder, { recursive: true });
    }
}

/** A server that keeps every request. Each path has its own answer, at first 204 without a body. */
export class Receiver {
    deliveries = [];
    #server = http.createServer((request, answer) => this.#take(request, answer));
    #answers = new Map();
    #given = new Map();

    static async start() {
        const receiver = new Receiver();
        await new Promise((resolve) => {
            receiver.#server.listen(0, '127.0.0.1', resolve);
        });
        const { port } = receiver.#server.address();
        receiver.authority = `127.0.0.1:${port}`;
        return receiver;
    }

    async #take(request, answer) {
        const chunks = [];
        for await (const chunk of request)
            chunks.push(chunk);
        const { method, url, headers } = request;
        this.deliveries.push({ method, url, headers, body: Buffer.concat(chunks) });
        const [status, text] = this.#answers.get(url) ?? [204, ''];
        answer.writeHead(status).end(text);
    }

    url(where) {
        return `http://${this.authority}${where}`;
    }

    /** From now on. */
    answers(where, status, text = '') {
        this.#answers.set(where, [status, text]);
    }

    /** All that has come to this path, in the order in which it came. */
    at(where) {
        return this.deliveries.filter(({ url }) => url === where);
    }

    /** The first delivery to this path that was not given yet, once it is there. */
    async next(where) {
        const n = this.#given.get(where) ?? 0;
        this.#given.set(where, n + 1);
        return until(() => this.at(where)[n], `delivery ${n + 1} to ${where}`);
    }

    stop() {
        this.#server.closeAllConnections();
        return new Promise((resolve) => { this.#server.close(resolve); });
    }
}
