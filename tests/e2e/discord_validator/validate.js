// Checks the bodies of webhook messages with what Discord's own people and discord.js publish: node validate.js DIRECTORY
// reads DIRECTORY/*.json. Prints one JSON object: how many were read, and what is wrong with them.
//
// Each part of an embed goes through EmbedBuilder's checks, and what the builder makes of it must be what we send; the sum
// of its texts through embedLength. The keys and types of a whole body are checked by the TypeScript compiler against
// RESTPostAPIWebhookWithTokenJSONBody.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { EmbedBuilder, embedLength } = require('@discordjs/builders');
const { AllowedMentionsTypes } = require('discord-api-types/v10');
const ts = require('typescript');

const MAX_CONTENT = 2000;
const MAX_EMBEDS = 10;
const MAX_TOTAL = 6000;
const TYPED = 60; // bodies that the compiler sees: it takes longer than all else

function checkEmbed(embed) {
  const builder = new EmbedBuilder();
  if ('title' in embed) builder.setTitle(embed.title);
  if ('description' in embed) builder.setDescription(embed.description);
  if ('color' in embed) builder.setColor(embed.color);
  if ('footer' in embed) builder.setFooter(embed.footer);
  if ('fields' in embed) builder.addFields(...embed.fields);
  if ('timestamp' in embed) builder.setTimestamp(new Date(embed.timestamp));
  const sent = JSON.stringify(embed, Object.keys(embed).sort());
  const made = builder.toJSON();
  for (const key of Object.keys(embed)) {
    if (JSON.stringify(made[key]) !== JSON.stringify(embed[key])) throw new Error(`${key}: the builder makes it ${JSON.stringify(made[key])}: ${sent}`);
  }
  return embedLength(made);
}

function check(body) {
  const embeds = body.embeds ?? [];
  if (embeds.length > MAX_EMBEDS) throw new Error(`${embeds.length} embeds`);
  const total = embeds.map(checkEmbed).reduce((sum, length) => sum + length, 0);
  if (total > MAX_TOTAL) throw new Error(`the texts of the embeds have ${total} characters`);
  if (body.content !== undefined && (body.content.trim() === '' || body.content.length > MAX_CONTENT)) throw new Error(`content of ${body.content.length}`);
  if (body.content === undefined && embeds.length === 0) throw new Error('an empty message');
  const allowed = body.allowed_mentions;
  if (!allowed || !allowed.parse.every((type) => Object.values(AllowedMentionsTypes).includes(type))) throw new Error('allowed_mentions');
  if (allowed.parse.length > 0) throw new Error('it could ping anybody');
}

// What the compiler says of bodies as literals: unknown keys and wrong types. By name.
function checkTypes(bodies) {
  const lines = ["import type { RESTPostAPIWebhookWithTokenJSONBody as Body } from 'discord-api-types/v10';"];
  for (const [, body] of bodies) lines.push(`export const body${lines.length}: Body = ${JSON.stringify(body)};`);
  const file = path.join(__dirname, 'bodies.ts');
  const text = lines.join('\n').replace(/\u2028|\u2029/g, ' ');
  const options = { strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.Node16,
                    moduleResolution: ts.ModuleResolutionKind.Node16, target: ts.ScriptTarget.ES2022 };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => name === file ? ts.createSourceFile(name, text, rest[0]) : read(name, ...rest);
  host.fileExists = ((exists) => (name) => name === file || exists(name))(host.fileExists.bind(host));
  return ts.getPreEmitDiagnostics(ts.createProgram([file], options, host)).map((found) => {
    const line = found.file ? found.file.getLineAndCharacterOfPosition(found.start).line : 0;
    const name = found.file && found.file.fileName === file && line > 0 ? bodies[line - 1][0] : 'the compiler';
    return `${name}: ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`;
  });
}

const directory = process.argv[2];
const problems = [];
const bodies = fs.readdirSync(directory).filter((name) => name.endsWith('.json')).sort()
  .map((name) => [name, JSON.parse(fs.readFileSync(path.join(directory, name), 'utf8'))]);
for (const [name, body] of bodies) {
  try {
    check(body);
  } catch (error) {
    problems.push(`${name}: ${error.message}${error.errors ? ' ' + JSON.stringify(error.errors.map((e) => e[1] ?? e)) : ''}`.slice(0, 500));
  }
}
problems.push(...checkTypes(bodies.slice(0, TYPED)));
console.log(JSON.stringify({ files: bodies.length, problems }));
