// The web server: one fast route, one slow, one that fails, and one that calls its own server and a language model.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const express = require('express');
const { SpanKind, trace } = require('@opentelemetry/api');

const MODEL = 'gemini-2.0-flash';
const SLOWEST_MS = 60_000;
const tracer = trace.getTracer('node-bot');

// A stand-in for a call of a language model, with the span that an instrumented client library would make.
function askModel(text) {
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'gcp.gemini',
    'gen_ai.request.model': MODEL,
  };
  return tracer.startActiveSpan(`chat ${MODEL}`, { kind: SpanKind.CLIENT, attributes }, async (span) => {
    try {
      await sleep(20 + 10 * Math.random());
      const answer = `You said ${text.length} characters.`;
      span.setAttributes({
        'gen_ai.response.model': MODEL,
        'gen_ai.usage.input_tokens': Math.ceil(text.length / 4),
        'gen_ai.usage.output_tokens': Math.ceil(answer.length / 4),
      });
      return answer;
    } finally {
      span.end();
    }
  });
}

// `app.locals.base` must hold the server's own URL once it listens.
exports.createServer = () => {
  const app = express();
  app.disable('x-powered-by');
  app.use(express.json({ limit: '16kb' }));

  app.get('/ping', (request, response) => response.json({ pong: true }));

  app.get('/slow', async (request, response) => {
    const wanted = Number(request.query.ms ?? 1200);
    const ms = Number.isFinite(wanted) ? Math.min(Math.max(wanted, 0), SLOWEST_MS) : 1200;
    await sleep(ms);
    response.json({ tookMs: ms });
  });

  app.get('/fail', () => {
    throw new Error('the backend refused the request');
  });

  app.get('/context', async (request, response) => {
    await sleep(5);
    response.json({ messages: 12 });
  });

  app.post('/chat', async (request, response) => {
    const text = String(request.body?.text ?? '');
    // Over HTTP to itself, as one service calls another: OpenTelemetry hands the trace on in the `traceparent` header.
    const context = await fetch(`${app.locals.base}/context`);
    response.json({ answer: await askModel(text), context: await context.json() });
  });

  app.use((error, request, response, next) => {
    if (response.headersSent) return next(error);
    response.status(error.status ?? 500).json({ error: error.message });
  });
  return app;
};
