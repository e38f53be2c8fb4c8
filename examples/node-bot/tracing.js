// OpenTelemetry as its own documentation sets it up; nothing of Spanwatch. Must be loaded before express and http.
'use strict';

// What the environment says wins. These defaults are what differs from OpenTelemetry's own, and why:
const defaults = {
  OTEL_SERVICE_NAME: 'node-bot',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', // "localhost" may mean ::1, where nothing listens
  OTEL_METRICS_EXPORTER: 'none', // the sidecar makes the metrics from the spans
  OTEL_LOGS_EXPORTER: 'none',
  OTEL_BSP_SCHEDULE_DELAY: '500', // ms that an ended span waits for its batch; 5000 would delay each alert so long
  OTEL_NODE_RESOURCE_DETECTORS: 'env,host,serviceinstance', // 'all' asks cloud providers' addresses and sends the command line
};
for (const [name, value] of Object.entries(defaults)) process.env[name] ??= value;

const { NodeSDK } = require('@opentelemetry/sdk-node');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-proto');
const { getNodeAutoInstrumentations } = require('@opentelemetry/auto-instrumentations-node');

const sdk = new NodeSDK({
  traceExporter: new OTLPTraceExporter(), // OTLP over HTTP in protobuf, to OTEL_EXPORTER_OTLP_ENDPOINT + /v1/traces
  instrumentations: getNodeAutoInstrumentations({
    '@opentelemetry/instrumentation-dns': { enabled: false }, // a span for each look-up and connection says little
    '@opentelemetry/instrumentation-net': { enabled: false },
    '@opentelemetry/instrumentation-router': { enabled: false }, // what the one for Express says already
  }),
});
sdk.start();

// Delivers what was not exported yet. An OTLP client keeps no account: what it could not deliver is gone without trace.
exports.stop = () => sdk.shutdown().catch((error) => console.error(`traces were not delivered: ${error.message}`));
