// A small bot in Node.js with a web server behind it, instrumented by OpenTelemetry alone. See README.md.
'use strict';

const tracing = require('./tracing'); // first: it wraps http and express as they are loaded
const { once } = require('node:events');
const { parseArgs } = require('node:util');
const { SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api');
const { createServer } = require('./server');

const USAGE = `node bot.js: a bot and a web server, traced with OpenTelemetry. Ctrl-C ends it.

  --rate N       messages a second that the bot handles (5); 0: it only serves
  --requests N   end after so many messages (0: never)
  --port N       where the web server listens (8080); 0: any free port
  --host IPV4     on which address (127.0.0.1)
`;

// Of ten messages one is slow, one fails, two are quick, six ask the model.
const ROUTES = ['chat', 'slow', 'chat', 'ping', 'chat', 'fail', 'chat', 'ping', 'chat', 'chat'];
const tracer = trace.getTracer('node-bot');

function readFlags() {
  const number = (name, text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= 0 && value <= 65535) return value;
    throw new Error(`--${name} '${text}' is not a number from 0 to 65535`);
  };
  const option = { type: 'string' };
  const { values } = parseArgs({
    options: { rate: option, requests: option, port: option, host: option, help: { type: 'boolean', short: 'h' } },
  });
  return {
    help: values.help ?? false,
    rate: number('rate', values.rate ?? '5'),
    requests: number('requests', values.requests ?? '0'),
    port: number('port', values.port ?? '8080'),
    host: values.host ?? '127.0.0.1',
  };
}

// One message: the root span of a trace. The span's text says nothing about the person who wrote it.
function handleMessage(base, route, counts) {
  const text = 'What did we talk about yesterday?';
  const attributes = { 'message.length': text.length, 'message.route': route };
  return tracer.startActiveSpan('messageCreate', { root: true, kind: SpanKind.CONSUMER, attributes }, async (span) => {
    try {
      const request = route === 'chat' ? {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text }),
      } : {};
      const response = await fetch(`${base}/${route}`, request);
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`/${route} answered ${response.status}`);
      counts.answered += 1;
    } catch (error) {
      counts.failed += 1;
      span.recordException(error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    } finally {
      span.end();
    }
  });
}

class Bot {
  counts = { messages: 0, answered: 0, failed: 0 };
  #running = new Set();
  #timer = null;
  #done = null;

  // Resolves when all messages were handled, or after stop() when those begun were.
  run(base, rate, requests) {
    const begin = performance.now();
    const finished = new Promise((resolve) => { this.#done = resolve; });
    const next = () => {
      // As many as are due: timers are coarse, the rate is not.
      const due = Math.floor((performance.now() - begin) * rate / 1000) + 1;
      while (this.counts.messages < due && (requests === 0 || this.counts.messages < requests)) this.#begin(base);
      if (requests > 0 && this.counts.messages >= requests) return this.stop();
      this.#timer = setTimeout(next, Math.max(1, 1000 / rate));
    };
    if (rate > 0) next();
    return finished;
  }

  #begin(base) {
    const route = ROUTES[this.counts.messages % ROUTES.length];
    this.counts.messages += 1;
    const message = handleMessage(base, route, this.counts).finally(() => this.#running.delete(message));
    this.#running.add(message);
  }

  stop() {
    clearTimeout(this.#timer);
    Promise.all(this.#running).then(() => this.#done());
  }
}

async function main() {
  const flags = readFlags();
  if (flags.help) return process.stdout.write(USAGE);
  const app = createServer();
  const server = app.listen(flags.port, flags.host);
  await once(server, 'listening'); // throws what 'error' says: the port is in use
  const { port } = server.address();
  const base = `http://${flags.host === '0.0.0.0' ? '127.0.0.1' : flags.host}:${port}`;
  app.locals.base = base;
  console.log(`listening on ${flags.host} port ${port}; `
    + (flags.rate > 0 ? `${flags.rate} messages a second` : 'no messages of its own'));

  const bot = new Bot();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => bot.stop());
  await bot.run(base, flags.rate, flags.requests);
  server.closeAllConnections();
  server.close();
  for (const [name, count] of Object.entries(bot.counts)) console.log(`${name.padEnd(16)}  ${count}`);
}

main()
  .catch((error) => {
    console.error(`node bot.js: ${error.message}`);
    process.exitCode = 1;
  })
  .finally(() => tracing.stop());
