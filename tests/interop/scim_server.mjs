// A directory that speaks SCIM 2.0 (RFC 7644). The protocol is the business of npm scimmy and
// scimmy-routers; this file only keeps users, in memory, and takes no user name twice.
//
//     SCIM_TOKEN=secret node scim_server.mjs [--port N] [--require ATTRIBUTE]
//
// --require makes an attribute of users one that none may be without. GET /demo/requests shows what
// was asked of the API and what it said, oldest first, as the services of examples/onboarding do.

import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';

import express from 'express';
import SCIMMY from 'scimmy';
import SCIMMYRouters from 'scimmy-routers';

const REQUESTS_MAX = 1000;

const { values: options } = parseArgs({
    options: { port: { type: 'string', default: '0' }, require: { type: 'string' } },
});
const token = process.env.SCIM_TOKEN;
if (!token) {
    console.error('SCIM_TOKEN has to hold the bearer token');
    process.exit(2);
}

// --- the users ---------------------------------------------------------------------------------

/** The users by their ids. */
const users = new Map();

function existing(id) {
    const user = users.get(id);
    if (!user)
        throw new SCIMMY.Types.Error(404, null, `There is no user ${id}`);
    return user;
}

/** User names differ by more than case (RFC 7643, section 4.1.1). */
function refuseTaken(userName, id) {
    const name = userName.toLowerCase();
    for (const user of users.values())
        if (user.id !== id && user.userName.toLowerCase() === name)
            throw new SCIMMY.Types.Error(409, 'uniqueness',
                `Another user has this value of the attribute 'userName' already`);
}

function read({ id, filter }) {
    if (id)
        return existing(id);
    const all = [...users.values()];
    return filter ? filter.match(all) : all;
}

function write({ id }, data) {
    const now = new Date().toISOString();
    const old = id ? existing(id) : { id: randomUUID(), meta: { created: now } };
    refuseTaken(data.userName, old.id);
    // By way of JSON: what is kept shares nothing with the library's own objects.
    const user = { ...JSON.parse(JSON.stringify(data)), id: old.id };
    user.meta = { created: old.meta.created, lastModified: now };
    users.set(user.id, user);
    return user;
}

function remove({ id }) {
    existing(id);
    users.delete(id);
}

SCIMMY.Resources.declare(SCIMMY.Resources.User).ingress(write).egress(read).degress(remove);
if (options.require)
    SCIMMY.Schemas.User.definition.attribute(options.require).config.required = true;

// --- the server --------------------------------------------------------------------------------

const app = express();
/** All that came, each with its answer. */
const requests = [];

/** As the log tells of one: whoever has had an answer finds its status here. */
const shown = ({ request, answer }) => ({
    method: request.method,
    path: request.originalUrl,
    agent: request.get('user-agent') ?? '',
    body: request.body,
    status: answer.statusCode,
});

app.disable('x-powered-by');
app.get('/healthz', (request, answer) => answer.json({ status: 'ok' }));
app.get('/demo/requests', (request, answer) => answer.json(requests.map(shown)));
app.use('/scim/v2', (request, answer, next) => {
    requests.push({ request, answer });
    requests.splice(0, requests.length - REQUESTS_MAX);
    next();
}, new SCIMMYRouters({
    type: 'bearer',
    handler(request) {
        if (request.get('authorization') !== `Bearer ${token}`)
            throw new Error('The bearer token is missing or wrong');
    },
}));

const server = app.listen(Number(options.port), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
process.once('SIGTERM', () => {
    server.close();
    server.closeAllConnections();
});
