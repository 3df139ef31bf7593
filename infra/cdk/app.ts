/** `cdk synth|diff|deploy -c environment=ENV`: reads streamify.ENV.json beside this file, or in `-c folder=FOLDER`. */

import { join } from 'node:path';

import { addEnvironment, newApp } from './environment.ts';
import { read, SettingsError } from './settings.ts';

const app = newApp();
const environment: unknown = app.node.tryGetContext('environment');
const folder: unknown = app.node.tryGetContext('folder') ?? import.meta.dirname;
const first: unknown = app.node.tryGetContext('first');

try {
  if (typeof environment !== 'string' || typeof folder !== 'string') {
    throw new SettingsError('the command', [{ at: '', what: 'lacks the environment: add -c environment=ENV' }]);
  }
  addEnvironment(app, read(join(folder, `streamify.${environment}.json`), environment), first === true || first === 'true');
} catch (error) {
  if (!(error instanceof SettingsError)) {
    throw error;
  }
  // Without a stack trace: what is wrong is in the file.
  console.error(error.message);
  process.exitCode = 2;
}
