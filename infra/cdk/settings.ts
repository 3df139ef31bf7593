/** What an environment is made of: `streamify.ENV.json`, which `streamify infra render ENV --with cdk` writes. */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { type Fault, flag, list, map, object, oneOf, optional, text, whole } from './check.ts';

/** From least to most, in steps. */
const steps = (least: number, most: number, step: number): number[] =>
  Array.from({ length: (most - least) / step + 1 }, (_, index) => least + index * step);

/** Fargate's sizes: CPU units to the memory that may go with them, in MiB. */
const FARGATE: Record<number, number[]> = {
  256: [512, 1024, 2048],
  512: steps(1024, 4096, 1024),
  1024: steps(2048, 8192, 1024),
  2048: steps(4096, 16384, 1024),
  4096: steps(8192, 30720, 1024),
  8192: steps(16384, 61440, 4096),
  16384: steps(32768, 122880, 8192),
};

/** What one rule of a load balancer takes; blue/green moves one rule for each service. */
export const PATTERNS_OF_A_RULE = 5;

/** `PROJECT-ENVIRONMENT` stands before longer names, such as a role's, which takes 64. */
const MOST_OF_A_NAME = 50;

const NAME = /^[a-z][a-z0-9-]{0,31}$/;
const NAMED = 'a name of lower-case letters, digits and `-`, a letter first, at most 32 of them';
const ARN = (service: string): RegExp => new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]*:[0-9]{12}:.+$`);

const service = object({
  port: optional(whole(1, 65535), null),
  health_path: optional(text(/^\//, 'a path that begins with /'), null),
  cpu: oneOf(...Object.keys(FARGATE).map(Number)),
  memory: whole(512, 122880, 'MiB'),
  replicas: whole(0, 1000),
  architecture: oneOf('X86_64', 'ARM64'),
  secrets: list(text(/^[\w./-]+$/, "a secret's name in the environment's store")),
});

/** Thresholds at which services get more tasks. */
const autoscaling = object({
  max: optional(whole(1, 1000, 'tasks of a service'), 10),
  cpu_percent: optional(whole(10, 95), 60),
  memory_percent: optional(whole(10, 95), 70),
  requests_per_minute: optional(whole(1, 1_000_000, 'a minute'), 1000),
});

/** Everything is there that keeps running when a zone fails. It is what an environment has that says nothing else. */
const AVAILABLE = {
  zone_count: 3,
  single_nat_gateway: false,
  instance_class: 'db.m7g.large',
  allocated_storage: 100,
  multi_az: true,
  deletion_protection: true,
  backup_days: 30,
  messaging: 'serverless' as const,
  autoscaling: { max: 10, cpu_percent: 60, memory_percent: 70, requests_per_minute: 1000 },
};

/** What `staging` has that says nothing else: the same parts, cheap. */
const CHEAP: typeof AVAILABLE | (Omit<typeof AVAILABLE, 'messaging' | 'autoscaling'> & {
  messaging: 'provisioned';
  autoscaling: null;
}) = {
  zone_count: 2,
  single_nat_gateway: true,
  instance_class: 'db.t4g.micro',
  allocated_storage: 20,
  multi_az: false,
  deletion_protection: false,
  backup_days: 7,
  messaging: 'provisioned',
  autoscaling: null,
};

/** The whole file. Keys are those of Terraform's variables, so that one `streamify.yaml` fills both. */
function file(environment: unknown) {
  const defaults = environment === 'staging' ? CHEAP : AVAILABLE;
  const { instance_class, allocated_storage, multi_az, deletion_protection, backup_days } = defaults;
  return object({
    project: text(NAME, NAMED),
    environment: text(NAME, NAMED),
    region: text(/^[a-z]{2}(-[a-z]+)+-[0-9]$/, 'an AWS region, such as eu-west-1'),
    account: optional(text(/^[0-9]{12}$/, 'an AWS account: twelve digits, as text'), null),
    repositories: list(text(/^[a-z0-9]+([._/-][a-z0-9]+)*$/, "an ECR repository's name, such as streamify/app")),
    secrets: object({
      store: oneOf('ssm', 'secrets-manager'),
      prefix: text(/^\/([\w.-]+\/)+$/, 'a path that begins and ends with /'),
      kms_key: optional(text(/^(arn:aws[a-z-]*:kms:.+|alias\/.+|[0-9a-f-]{36}|mrk-[0-9a-f]+)$/, "a KMS key's ARN, id or alias"), null),
    }),
    services: map(NAME, NAMED, service),
    deploy: object({
      strategy: oneOf('rolling', 'blue-green', 'linear', 'canary'),
      minimum_healthy_percent: whole(0, 100),
      maximum_percent: whole(100, 200),
    }),
    domain: optional(text(/^([a-z0-9-]+\.)+[a-z]{2,}$/, 'a host name, such as app.example.com'), null),
    certificate_arn: optional(text(ARN('acm'), 'the ARN of a certificate of ACM'), null),
    zone_count: optional(whole(2, 3), defaults.zone_count),
    single_nat_gateway: optional(flag(), defaults.single_nat_gateway),
    database: optional(
      object({
        instance_class: optional(text(/^db\.[a-z0-9]+\.[a-z0-9]+$/, 'a class of RDS, such as db.t4g.micro'), instance_class),
        allocated_storage: optional(whole(20, 65536, 'GiB'), allocated_storage),
        multi_az: optional(flag(), multi_az),
        deletion_protection: optional(flag(), deletion_protection),
        backup_days: optional(whole(1, 35), backup_days),
      }),
      { instance_class, allocated_storage, multi_az, deletion_protection, backup_days },
    ),
    messaging: optional(
      object({
        kind: optional(oneOf('serverless', 'provisioned'), defaults.messaging),
        instance_type: optional(text(/^kafka\.[a-z0-9]+\.[a-z0-9]+$/, 'a type of MSK, such as kafka.m7g.large'), 'kafka.t3.small'),
        storage_gib: optional(whole(1, 16384, 'GiB of a broker'), 20),
      }),
      { kind: defaults.messaging, instance_type: 'kafka.t3.small', storage_gib: 20 },
    ),
    routes: optional(
      map(NAME, NAMED, list(text(/^\/[\w\-.$/~"'@:+&*?]*$/, "a path of the load balancer's kind, such as /api/*"))),
      null,
    ),
    autoscaling: optional(autoscaling, defaults.autoscaling),
    github_repository: optional(text(/^[\w.-]+\/[\w.-]+$/, 'OWNER/REPOSITORY'), null),
    github_provider_arn: optional(text(ARN('iam'), "the ARN of the account's OIDC provider of GitHub"), null),
    alarm_email: optional(text(/^[^@\s]+@[^@\s]+$/, 'an e-mail address'), null),
  });
}

type Written = ReturnType<ReturnType<typeof file>>;
export type ServiceSettings = Written['services'][string];
export type Settings = Omit<Written, 'routes'> & { routes: Record<string, string[]> };

/** A file that is not what this app reads: each fault with its file and key. */
export class SettingsError extends Error {
  constructor(source: string, faults: Fault[]) {
    super(faults.map(({ at, what }) => `${source}: ${at === '' ? 'the file' : `\`${at}\``} ${what}`).join('\n'));
    this.name = 'SettingsError';
  }
}

/** The routes of the project's own app, for those of its services that are there. */
const ROUTES: Record<string, string[]> = {
  backend: ['/api/*', '/ws', '/openapi.json', '/docs*'],
  frontend: ['/*'],
};

/** Reads `streamify.ENV.json`. Throws a SettingsError that names every fault. */
export function read(path: string, environment: string): Settings {
  const source = basename(path);
  let json: string;
  try {
    json = readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const how = `write it with: streamify infra render ${environment} --with cdk`;
    throw new SettingsError(source, [{ at: '', what: `can't be read (${why}); ${how}` }]);
  }
  return parse(json, source, environment);
}

/** Checks the text of a settings file; `source` is its name, for messages. */
export function parse(json: string, source: string, environment: string): Settings {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError(source, [{ at: '', what: `is not JSON: ${why}` }]);
  }
  const faults: Fault[] = [];
  const said = typeof value === 'object' && value !== null && 'environment' in value ? value.environment : undefined;
  const written = file(said)(value, '', faults);
  if (faults.length === 0) {
    faults.push(...contradictions(written, environment));
  }
  if (faults.length > 0) {
    throw new SettingsError(source, faults);
  }
  return { ...written, routes: routes(written) };
}

function routes(written: Written): Record<string, string[]> {
  const known = Object.entries(written.routes ?? ROUTES);
  return Object.fromEntries(written.routes ? known : known.filter(([name]) => written.services[name]?.port));
}

/** What is right alone and wrong together. */
function* contradictions(written: Written, environment: string): Generator<Fault> {
  if (written.environment !== environment) {
    yield { at: 'environment', what: `is ${written.environment}, and ${environment} was asked for` };
  }
  if (`${written.project}-${written.environment}`.length > MOST_OF_A_NAME) {
    yield { at: 'project', what: `and \`environment\` have more than ${MOST_OF_A_NAME - 1} letters together, and names in AWS are made of both` };
  }
  const places = routes(written);
  for (const [name, { port, cpu, memory, health_path }] of Object.entries(written.services)) {
    const sizes = FARGATE[cpu] ?? [];
    if (!sizes.includes(memory)) {
      yield { at: `services.${name}.memory`, what: `is ${memory}; with ${cpu} CPU units Fargate takes ${sizes.join(', ')} MiB` };
    }
    if (port !== null && !places[name]?.length) {
      yield { at: `routes.${name}`, what: 'is missing: the service has a port, and no path leads to it' };
    }
    if (port === null && health_path !== null) {
      yield { at: `services.${name}.health_path`, what: 'is of no use without a port' };
    }
  }
  for (const [name, paths] of Object.entries(places)) {
    if (!written.services[name]?.port) {
      yield { at: `routes.${name}`, what: 'leads to a service that is not there, or has no port' };
    }
    if (written.deploy.strategy !== 'rolling' && paths.length > PATTERNS_OF_A_RULE) {
      const what = `has ${paths.length} paths; ${written.deploy.strategy} moves one rule of the load balancer, which takes ${PATTERNS_OF_A_RULE}`;
      yield { at: `routes.${name}`, what };
    }
  }
  if (written.certificate_arn !== null && written.domain === null) {
    yield { at: 'domain', what: 'is missing: the certificate is of a name, and this is where it is said' };
  }
  if (written.autoscaling !== null) {
    for (const [name, { replicas }] of Object.entries(written.services)) {
      if (replicas > written.autoscaling.max) {
        yield { at: 'autoscaling.max', what: `is ${written.autoscaling.max}, and ${name} has ${replicas} replicas` };
      }
    }
  }
}
