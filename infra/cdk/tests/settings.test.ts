import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { parse, read, type Settings } from '../settings.ts';
import { type Json, written } from './support.ts';

const of = (change: Json, environment = 'prod'): Settings =>
  parse(JSON.stringify(written({ environment, ...change })), `streamify.${environment}.json`, environment);

/** What is told of a file with these changes. */
function told(change: Json): string {
  try {
    of(change);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was found wrong');
}

test('an environment that says nothing else keeps running when a zone fails, and staging is cheap', () => {
  const prod = of({});
  assert.equal(prod.zone_count, 3);
  assert.equal(prod.single_nat_gateway, false);
  assert.deepEqual(prod.database, {
    instance_class: 'db.m7g.large', allocated_storage: 100, multi_az: true, deletion_protection: true, backup_days: 30,
  });
  assert.equal(prod.messaging.kind, 'serverless');
  assert.equal(prod.autoscaling?.max, 10);
  const staging = of({}, 'staging');
  assert.deepEqual([staging.zone_count, staging.single_nat_gateway, staging.autoscaling], [2, true, null]);
  assert.deepEqual([staging.database.multi_az, staging.messaging.kind], [false, 'provisioned']);
  assert.equal(of({}, 'live').database.multi_az, true);
});

test('what the file says goes before the defaults, key by key', () => {
  const { database, zone_count } = of({ database: { multi_az: true }, zone_count: 3 }, 'staging');
  assert.deepEqual([database.multi_az, database.instance_class, zone_count], [true, 'db.t4g.micro', 3]);
});

test('null is the same as nothing, as in variables of Terraform', () => {
  const { account, routes, database } = of({ account: null, routes: null, database: null });
  assert.equal(account, null);
  assert.deepEqual(Object.keys(routes), ['backend', 'frontend']);
  assert.equal(database.multi_az, true);
});

test('every fault is told at once, with its file and key', () => {
  const services = { backend: { ...(written()['services'] as Record<string, Json>)['backend'], port: 'x', cpu: 300 } };
  const message = told({ region: 'Dublin', services, zone_count: 7, account: '12' });
  for (const at of ['region', 'services.backend.port', 'services.backend.cpu', 'zone_count', 'account']) {
    assert.match(message, new RegExp(`^streamify\\.prod\\.json: \`${at.replaceAll('.', '\\.')}\` is `, 'm'), message);
  }
  assert.equal(message.split('\n').length, 5, message);
});

test('a key that nothing reads is a mistake, at every depth', () => {
  assert.match(told({ singel_nat_gateway: true }), /`singel_nat_gateway` is read by nothing; there is .*single_nat_gateway/);
  assert.match(told({ database: { multiaz: true } }), /`database\.multiaz` is read by nothing/);
});

test('what is right alone and wrong together is found', () => {
  const services = written()['services'] as Record<string, Json>;
  const backend = (change: Json): Json => ({ services: { ...services, backend: { ...services['backend'], ...change } } });
  assert.match(told(backend({ memory: 1536 })), /services\.backend\.memory` is 1536; with 512 CPU units Fargate takes 1024, 2048/);
  assert.match(told({ routes: { frontend: ['/*'] } }), /`routes\.backend` is missing/);
  assert.match(told({ routes: { backend: ['/api/*'], frontend: ['/*'], page: ['/p'] } }), /`routes\.page` leads to a service/);
  assert.match(told(backend({ port: null })), /`services\.backend\.health_path` is of no use without a port/);
  assert.match(told({ domain: null }), /`domain` is missing: the certificate/);
  assert.match(told(backend({ replicas: 11 })), /`autoscaling\.max` is 10, and backend has 11/);
  const deploy = { strategy: 'canary', minimum_healthy_percent: 100, maximum_percent: 200 };
  const six = ['/a', '/b', '/c', '/d', '/e', '/f'];
  assert.match(told({ deploy, routes: { backend: six, frontend: ['/*'] } }), /`routes\.backend` has 6 paths; canary moves one rule/);
});

test('names that would be too long for AWS are refused before anything is made', () => {
  const environment = 'e'.repeat(30);
  const json = JSON.stringify(written({ project: 'p'.repeat(30), environment }));
  assert.throws(() => parse(json, 'f.json', environment), /`project` and `environment` have more than 49 letters/);
});

test("another environment's file is not taken", () => {
  const json = JSON.stringify(written());
  assert.throws(() => parse(json, 'streamify.staging.json', 'staging'), /`environment` is prod, and staging was asked for/);
});

test('a file that is not there or not JSON is told with what to do', () => {
  const folder = mkdtempSync(join(tmpdir(), 'streamify-cdk-'));
  const path = join(folder, 'streamify.prod.json');
  assert.throws(() => read(path, 'prod'), /streamify\.prod\.json: .*streamify infra render prod --with cdk/);
  writeFileSync(path, '{"project": ');
  assert.throws(() => read(path, 'prod'), /streamify\.prod\.json: the file is not JSON: /);
  writeFileSync(path, '[]');
  assert.throws(() => read(path, 'prod'), /the file is \[\]; it has to be an object/);
});

test('the app ends with the message alone and the exit code of a wrong configuration', () => {
  const folder = join(import.meta.dirname, '..');
  const run = (context: Json) =>
    spawnSync(process.execPath, ['--import', 'tsx', 'app.ts'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, CDK_CONTEXT_JSON: JSON.stringify(context), CDK_OUTDIR: mkdtempSync(join(tmpdir(), 'streamify-cdk-')) },
    });
  const without = run({});
  assert.equal(without.status, 2, without.stderr);
  assert.match(without.stderr, /add -c environment=ENV/);
  const missing = run({ environment: 'nowhere' });
  assert.equal(missing.status, 2, missing.stderr);
  assert.match(missing.stderr, /^streamify\.nowhere\.json: the file can't be read/);
  assert.doesNotMatch(missing.stderr, /\n\s+at /);
});
