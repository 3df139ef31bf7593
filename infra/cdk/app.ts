/** `cdk synth|diff|deploy -c environment=ENV`: reads streamify.ENV.json beside this file, or in `-c folder=FOLDER`. */

import { join } from 'node:path';

import { addEnvironment, newApp } from './environment.ts';
import { read, SettingsError } from './settings.ts';

const app = newApp();
const environment: unknown = app.node.tryGetContext('environment');
const folder: unknown = app.node.tryGetContext('folder') ?? import.meta.dirname;
// The services that ECS does not have yet, with commas between them: `streamify infra apply` looks and says so.
const fresh: unknown = app.node.tryGetContext('new') ?? '';

try {
  if (typeof environment !== 'string' || typeof folder !== 'string') {
    throw new SettingsError('the command', [{ at: '', what: 'lacks the environment: add -c environment=ENV' }]);
  }
  const settings = read(join(folder, `streamify.${environment}.json`), environment);
  const names = String(fresh).split(',').filter((name) => name !== '');
  const unknown = names.filter((name) => !settings.services[name]);
  if (unknown.length > 0) {
    throw new SettingsError('the command', [{ at: 'new', what: `names ${unknown.join(', ')}, which is no service` }]);
  }
  addEnvironment(app, settings, names);
} catch (error) {
  if (!(error instanceof SettingsError)) {
    throw error;
  }
  // Without a stack trace: what is wrong is in the file.
  console.error(error.message);
  process.exitCode = 2;
}
