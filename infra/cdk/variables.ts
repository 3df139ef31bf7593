/** Writes `variables.json`, which tells `streamify infra` what this app takes: `npm run variables`. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { described } from './settings.ts';

writeFileSync(join(import.meta.dirname, 'variables.json'), `${JSON.stringify(described(), null, 2)}\n`);
