/** What an environment is that says nothing else: the same as the variables of `terraform/environments/{prod,staging}`. */

/** Everything is there that keeps running when a zone fails. */
const AVAILABLE = {
  zone_count: 3,
  cidr: '10.20.0.0/16',
  single_nat_gateway: false,
  interface_endpoints: true,
  database: {
    name: 'streamify',
    username: 'streamify',
    engine_version: '17',
    instance_class: 'db.m7g.large',
    allocated_storage: 100,
    max_allocated_storage: 500,
    multi_az: true,
    deletion_protection: true,
    final_snapshot: true,
    backup_days: 14,
  },
  messaging: {
    kind: 'provisioned' as 'provisioned' | 'serverless',
    broker_count: null,
    instance_type: 'kafka.m7g.large',
    storage_gib: 100,
    kafka_version: '3.9.x.kraft',
  },
  capacity: { FARGATE: { base: 0, weight: 1 } } as Record<string, { base: number; weight: number }>,
  /** Whether there is auto scaling, and a firewall, where nothing is said of them. */
  is_scaled: true,
  is_walled: true,
  log_retention_days: 90,
  protect: true,
};

/** The same parts, cheap. */
const CHEAP: typeof AVAILABLE = {
  zone_count: 2,
  cidr: '10.21.0.0/16',
  single_nat_gateway: true,
  interface_endpoints: false,
  database: {
    ...AVAILABLE.database,
    instance_class: 'db.t4g.micro',
    allocated_storage: 20,
    max_allocated_storage: 50,
    multi_az: false,
    deletion_protection: false,
    final_snapshot: false,
    backup_days: 1,
  },
  messaging: { ...AVAILABLE.messaging, kind: 'serverless', instance_type: 'kafka.t3.small' },
  capacity: { FARGATE_SPOT: { base: 0, weight: 1 } },
  is_scaled: false,
  is_walled: false,
  log_retention_days: 14,
  protect: false,
};

export const SCALING = {
  min: null,
  max: 10,
  cpu_percent: 60,
  memory_percent: 75,
  requests_per_minute: 6000,
  scale_out_seconds: 60,
  scale_in_seconds: 300,
};

export const FIREWALL = { requests_per_five_minutes: 3000, log_days: 365 };

/** The routes of the project's own app, for those of its services that are there. */
export const ROUTES: Record<string, string[]> = {
  backend: ['/api/*', '/ws', '/openapi.json', '/docs*'],
  frontend: ['/*'],
};

/** Only `staging` is cheap by default. */
export function defaultsOf(environment: unknown): typeof AVAILABLE {
  return environment === 'staging' ? CHEAP : AVAILABLE;
}
