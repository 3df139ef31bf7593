/** What an environment is made of: `streamify.ENV.json`, which `streamify infra render ENV --with cdk` writes. */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { type Fault, flag, list, map, nullable, object, oneOf, optional, text, whole } from './check.ts';
import { defaultsOf, FIREWALL, ROUTES, SCALING } from './defaults.ts';

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

/** A service's `PROJECT-ENVIRONMENT-SERVICE` stands before `-infrastructure` in a role's name, which takes 64. */
const MOST_OF_A_NAME = 50;

const SERVICE = /^[a-z][a-z0-9-]{0,31}$/;
const NAMED = 'a name of lower-case letters, digits and `-`, a letter first, at most 32 of them';
const ARN = (service: string): RegExp => new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]*:[0-9]{12}:.+$`);

/** For how many days CloudWatch can keep a log. */
const DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/** Variables of the Terraform roots that are of no use here, and why. `streamify infra render --with cdk` leaves them out. */
export const ONLY_TERRAFORM: Record<string, string> = {
  placeholder_image: "the placeholder has to stay as it is: a service's newest revision is what runs",
  state: "it is where Terraform's state is, and CloudFormation keeps its own",
};

const service = object({
  port: optional(whole(1, 65535), null),
  health_path: optional(text(/^\//, 'a path that begins with /'), null),
  cpu: oneOf(...Object.keys(FARGATE).map(Number)),
  memory: whole(512, 122880, 'MiB'),
  replicas: whole(0, 1000),
  architecture: oneOf('X86_64', 'ARM64'),
  secrets: list(text(/^[\w./-]+$/, "a secret's name in the environment's store")),
});

/** Thresholds at which services get more tasks, from their replicas (or `min`) to `max`. */
const autoscaling = object({
  min: optional(whole(0, 1000, 'tasks of a service'), SCALING.min),
  max: optional(whole(1, 1000, 'tasks of a service'), SCALING.max),
  cpu_percent: optional(whole(10, 95), SCALING.cpu_percent),
  memory_percent: optional(whole(10, 95), SCALING.memory_percent),
  requests_per_minute: optional(whole(1, 1_000_000, 'a minute'), SCALING.requests_per_minute),
  scale_out_seconds: optional(whole(0, 3600), SCALING.scale_out_seconds),
  scale_in_seconds: optional(whole(0, 3600), SCALING.scale_in_seconds),
});

const firewall = object({
  requests_per_five_minutes: optional(whole(10, 2_000_000_000), FIREWALL.requests_per_five_minutes),
  log_days: optional(oneOf(...DAYS), FIREWALL.log_days),
});

const secrets = object({
  store: oneOf('ssm', 'secrets-manager'),
  prefix: text(/^\/([\w.-]+\/)+$/, 'a path that begins and ends with /'),
  kms_key: optional(text(/^(arn:aws[a-z-]*:kms:.+|alias\/.+|[0-9a-f-]{36}|mrk-[0-9a-f]+)$/, "a KMS key's ARN, id or alias"), null),
});

const deploy = object({
  strategy: oneOf('rolling', 'blue-green', 'linear', 'canary'),
  minimum_healthy_percent: whole(0, 100),
  maximum_percent: whole(100, 200),
});

const database = (usual: ReturnType<typeof defaultsOf>['database']) =>
  object({
    name: optional(text(/^[a-z][a-z0-9_]{0,62}$/, 'a name of a database of PostgreSQL'), usual.name),
    username: optional(text(/^[a-z][a-z0-9_]{0,62}$/, 'a name of a user of PostgreSQL'), usual.username),
    engine_version: optional(text(/^[0-9]+(\.[0-9]+)?$/, 'a version of PostgreSQL, such as 17'), usual.engine_version),
    instance_class: optional(text(/^db\.[a-z0-9]+\.[a-z0-9]+$/, 'a class of RDS, such as db.t4g.micro'), usual.instance_class),
    allocated_storage: optional(whole(20, 65536, 'GiB'), usual.allocated_storage),
    max_allocated_storage: optional(whole(20, 65536, 'GiB'), usual.max_allocated_storage),
    multi_az: optional(flag(), usual.multi_az),
    deletion_protection: optional(flag(), usual.deletion_protection),
    final_snapshot: optional(flag(), usual.final_snapshot),
    backup_days: optional(whole(1, 35), usual.backup_days),
  });

const messaging = (usual: ReturnType<typeof defaultsOf>['messaging']) =>
  object({
    kind: optional(oneOf('serverless', 'provisioned'), usual.kind),
    broker_count: optional(whole(2, 30, 'brokers'), usual.broker_count),
    instance_type: optional(text(/^kafka\.[a-z0-9]+\.[a-z0-9]+$/, 'a type of MSK, such as kafka.m7g.large'), usual.instance_type),
    storage_gib: optional(whole(1, 16384, 'GiB of a broker'), usual.storage_gib),
    kafka_version: optional(text(/^[3-9]\.[0-9]+\.(x|[0-9]+)(\.kraft)?$/, "one of MSK's versions, such as 3.9.x.kraft"), usual.kafka_version),
  });

/** The keys of the file, which are those of Terraform's variables, so that one `streamify.yaml` fills both. */
function keys(environment: unknown) {
  const usual = defaultsOf(environment);
  return {
    // What follows from streamify.yaml itself.
    project: text(/^[a-z][a-z0-9-]{0,20}$/, 'a name of up to 21 lower-case letters, digits and `-`, a letter first'),
    environment: text(/^[a-z][a-z0-9-]{0,14}$/, 'a name of up to 15 lower-case letters, digits and `-`, a letter first'),
    region: text(/^[a-z]{2}(-[a-z]+)+-[0-9]$/, 'an AWS region, such as eu-west-1'),
    account: optional(text(/^[0-9]{12}$/, 'an AWS account: twelve digits, as text'), null),
    repositories: list(text(/^[a-z0-9]+([._/-][a-z0-9]+)*$/, "an ECR repository's name, such as streamify/app")),
    secrets,
    services: map(SERVICE, NAMED, service),
    deploy,
    // What `environments.ENV.variables` says.
    domain: optional(text(/^([a-z0-9-]+\.)+[a-z]{2,}$/, 'a host name, such as app.example.com'), null),
    certificate_arn: optional(text(ARN('acm'), 'the ARN of a certificate of ACM'), null),
    zone_id: optional(text(/^Z[A-Z0-9]+$/, 'the id of a zone of Route 53, such as Z0123456789ABCDEFGHIJ'), null),
    zone_count: optional(whole(2, 3), usual.zone_count),
    cidr: optional(text(/^([0-9]{1,3}\.){3}[0-9]{1,3}\/1[6-9]$/, 'a block of IPv4 addresses of /16 to /19'), usual.cidr),
    single_nat_gateway: optional(flag(), usual.single_nat_gateway),
    interface_endpoints: optional(flag(), usual.interface_endpoints),
    database: optional(database(usual.database), usual.database),
    messaging: optional(messaging(usual.messaging), usual.messaging),
    routes: optional(
      map(SERVICE, NAMED, list(text(/^\/[\w\-.$/~"'@:+&*?]*$/, "a path of the load balancer's kind, such as /api/*"))),
      null,
    ),
    data_services: optional(list(text(SERVICE, NAMED)), null),
    autoscaling: nullable(autoscaling, usual.is_scaled ? SCALING : null),
    capacity: optional(
      map(
        /^FARGATE(_SPOT)?$/,
        'FARGATE or FARGATE_SPOT',
        object({ base: optional(whole(0, 1000, 'tasks'), 0), weight: optional(whole(0, 1000), 1) }),
      ),
      usual.capacity,
    ),
    exec: optional(flag(), true),
    service_discovery: optional(flag(), false),
    firewall: nullable(firewall, usual.is_walled ? FIREWALL : null),
    create_repositories: optional(flag(), true),
    github_repository: optional(text(/^[\w.-]+\/[\w.-]+$/, 'OWNER/REPOSITORY'), null),
    github_environment: optional(text(/^[^\s:]+$/, 'an environment on GitHub'), null),
    // Terraform's is made by terraform/bootstrap, once for an account.
    github_provider_arn: optional(text(ARN('iam'), "the ARN of the account's OIDC provider of GitHub"), null),
    alarm_email: optional(text(/^[^@\s]+@[^@\s]+$/, 'an e-mail address'), null),
    log_retention_days: optional(oneOf(...DAYS), usual.log_retention_days),
    protect: optional(flag(), usual.protect),
  };
}

const file = (environment: unknown) => object(keys(environment), ONLY_TERRAFORM);

/** What `variables.json` has to say: `streamify infra` checks values by it before the CDK sees them. */
export function described(): object {
  const variables = Object.entries(keys(undefined)).map(([key, { type, isOptional }]) => [
    key,
    isOptional ? { type, optional: true } : { type },
  ]);
  return { variables: Object.fromEntries(variables) as object, only_terraform: ONLY_TERRAFORM };
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

/** Of services that have a port: nobody else can be behind the load balancer. */
function routes(written: Written): Record<string, string[]> {
  const known = Object.entries(written.routes ?? ROUTES);
  return Object.fromEntries(known.filter(([name, paths]) => written.services[name]?.port && paths.length > 0));
}

/** What is right alone and wrong together. */
function* contradictions(written: Written, environment: string): Generator<Fault> {
  if (written.environment !== environment) {
    yield { at: 'environment', what: `is ${written.environment}, and ${environment} was asked for` };
  }
  const name = `${written.project}-${written.environment}`;
  for (const [service, { port, cpu, memory, health_path }] of Object.entries(written.services)) {
    const sizes = FARGATE[cpu] ?? [];
    if (!sizes.includes(memory)) {
      yield { at: `services.${service}.memory`, what: `is ${memory}; with ${cpu} CPU units Fargate takes ${sizes.join(', ')} MiB` };
    }
    if (port === null && health_path !== null) {
      yield { at: `services.${service}.health_path`, what: 'is of no use without a port' };
    }
    if (`${name}-${service}`.length > MOST_OF_A_NAME) {
      yield { at: `services.${service}`, what: `has with ${name}- more than ${MOST_OF_A_NAME} letters, and names of roles are made of all of it` };
    }
  }
  for (const [service, paths] of Object.entries(written.routes ?? {})) {
    if (!written.services[service]?.port) {
      yield { at: `routes.${service}`, what: 'leads to a service that is not there, or has no port' };
    }
    if (written.deploy.strategy !== 'rolling' && paths.length > PATTERNS_OF_A_RULE) {
      const what = `has ${paths.length} paths; ${written.deploy.strategy} moves one rule of the load balancer, which takes ${PATTERNS_OF_A_RULE}`;
      yield { at: `routes.${service}`, what };
    }
  }
  for (const service of written.data_services ?? []) {
    if (!written.services[service]) {
      yield { at: 'data_services', what: `names ${service}, which is no service` };
    }
  }
  if (written.certificate_arn !== null && written.domain === null) {
    yield { at: 'domain', what: 'is missing: the certificate is of a name, and this is where it is said' };
  }
  if (written.zone_id !== null && written.domain === null) {
    yield { at: 'domain', what: 'is missing: the zone is of a name, and this is where it is said' };
  }
  const { broker_count, kind } = written.messaging;
  if (kind === 'provisioned' && broker_count !== null && broker_count % written.zone_count !== 0) {
    yield { at: 'messaging.broker_count', what: `is ${broker_count}; MSK puts as many brokers into each of ${written.zone_count} zones` };
  }
  const { allocated_storage, max_allocated_storage } = written.database;
  if (max_allocated_storage < allocated_storage) {
    yield { at: 'database.max_allocated_storage', what: `is ${max_allocated_storage}, and allocated_storage is ${allocated_storage}` };
  }
}
