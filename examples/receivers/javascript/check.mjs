// SPDX-License-Identifier: Apache-2.0
// Verifies one delivery as CGI hands it over; see ../README.md.

import { readFileSync } from 'node:fs';
import { verify } from './verify.mjs';
import { verifyV1a } from './verify_v1a.mjs';

const env = process.env;
const secret = env.WEBHOOK_SECRET ?? '';
const headers = [env.HTTP_WEBHOOK_ID, env.HTTP_WEBHOOK_TIMESTAMP, env.HTTP_WEBHOOK_SIGNATURE];
const good = (secret.startsWith('whpk_') ? verifyV1a : verify)(secret, ...headers, readFileSync(0));
console.log(good ? 'accepted' : 'refused');
process.exitCode = good ? 0 : 1;
