import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { described, parse, read, type Settings } from '../settings.ts';
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
  assert.deepEqual([prod.database.instance_class, prod.database.multi_az, prod.protect], ['db.m7g.large', true, true]);
  assert.equal(prod.messaging.kind, 'provisioned');
  assert.equal(prod.autoscaling?.max, 10);
  const staging = of({}, 'staging');
  assert.deepEqual([staging.zone_count, staging.single_nat_gateway, staging.autoscaling], [2, true, null]);
  assert.deepEqual([staging.database.multi_az, staging.messaging.kind, staging.firewall], [false, 'serverless', null]);
  assert.equal(of({}, 'live').database.multi_az, true);
});

test('what the file says goes before the defaults, key by key', () => {
  const { database, zone_count } = of({ database: { multi_az: true }, zone_count: 3 }, 'staging');
  assert.deepEqual([database.multi_az, database.instance_class, zone_count], [true, 'db.t4g.micro', 3]);
});

test('null is the same as nothing, but where it switches something off', () => {
  const { account, routes, database, autoscaling, firewall } = of({
    account: null, routes: null, database: null, autoscaling: null, firewall: null,
  });
  assert.deepEqual([account, autoscaling, firewall], [null, null, null]);
  assert.deepEqual(Object.keys(routes), ['backend', 'frontend']);
  assert.equal(database.multi_az, true);
});

test('variables.json says what is taken here', () => {
  const path = join(import.meta.dirname, '..', 'variables.json');
  const wanted = `${JSON.stringify(described(), null, 2)}\n`;
  assert.equal(readFileSync(path, 'utf8'), wanted, 'variables.json is out of date: npm run variables');
});

test("what is Terraform's alone is told so", () => {
  assert.match(told({ state: { bucket: 'b', key: 'k' } }), /`state` is read by nothing; .*CloudFormation keeps its own/);
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
  assert.match(told({ routes: { backend: ['/api/*'], frontend: ['/*'], page: ['/p'] } }), /`routes\.page` leads to a service/);
  assert.match(told(backend({ port: null })), /`services\.backend\.health_path` is of no use without a port/);
  assert.match(told({ domain: null }), /`domain` is missing: the certificate/);
  assert.match(told({ zone_id: 'Z0123', domain: null, certificate_arn: null }), /`domain` is missing: the zone/);
  assert.match(told({ data_services: ['nobody'] }), /`data_services` names nobody/);
  assert.match(told({ messaging: { broker_count: 4 } }), /`messaging\.broker_count` is 4; MSK .* 3 zones/);
  assert.match(told({ database: { allocated_storage: 600 } }), /max_allocated_storage` is 500/);
  const deploy = { strategy: 'canary', minimum_healthy_percent: 100, maximum_percent: 200 };
  const six = ['/a', '/b', '/c', '/d', '/e', '/f'];
  assert.match(told({ deploy, routes: { backend: six, frontend: ['/*'] } }), /`routes\.backend` has 6 paths; canary moves one rule/);
});

test('names that would be too long for AWS are refused before anything is made', () => {
  const service = { cpu: 256, memory: 512, replicas: 1, architecture: 'X86_64', secrets: [] };
  const services = { ['s'.repeat(31)]: service };
  assert.match(told({ project: 'p'.repeat(21), services }), /`services\.s+` has with p+-prod- more than 50 letters/);
  assert.match(told({ project: 'p'.repeat(22) }), /`project` is .* up to 21/);
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
  const settings = mkdtempSync(join(tmpdir(), 'streamify-cdk-'));
  writeFileSync(join(settings, 'streamify.prod.json'), JSON.stringify(written()));
  const unknown = run({ environment: 'prod', folder: settings, new: 'backend,nobody' });
  assert.equal(unknown.status, 2, unknown.stderr);
  assert.match(unknown.stderr, /`new` names nobody/);
});
