// Asks json_print (json_print.c) many questions at once: a list each, an answer each.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = process.env.JSON_PRINT ??
    fileURLToPath(new URL('../../build/tests/interop/json_print', import.meta.url));

export function ask(questions) {
    const input = questions.map((one) => `${JSON.stringify(one)}\n`).join('');
    const output = execFileSync(program, { input, encoding: 'utf8', maxBuffer: 1 << 30 });
    const answers = output.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    assert.equal(answers.length, questions.length);
    return answers;
}

/** A number in [0, n), the same in every run (mulberry32). */
export function dice(seed) {
    let state = seed;
    return (n) => {
        state = (state + 0x6d2b79f5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) % n;
    };
}
