/** Small checks of JSON values. Each notes what is wrong and where, so that all faults are told at once. */

/** What is wrong, by the key's place, such as `services.backend.cpu`. */
export interface Fault {
  at: string;
  what: string;
}

/** Looks at a value and gives it back as its type; what is wrong goes to `faults`, and the value is then of no use. */
export interface Check<T> {
  (value: unknown, at: string, faults: Fault[]): T;
  /** What the value is, as Terraform writes types: `variables.json` tells it to `streamify infra`. */
  readonly type: string;
  readonly isOptional?: boolean;
}

type Keys = Record<string, Check<unknown>>;
type Checked<K extends Keys> = { [key in keyof K]: K[key] extends Check<infer T> ? T : never };

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? 'nothing');
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function of<T>(type: string, look: (value: unknown, at: string, faults: Fault[]) => T, isOptional = false): Check<T> {
  return Object.assign(look, { type, isOptional });
}

function check<T>(type: string, what: string, is: (value: unknown) => boolean): Check<T> {
  return of(type, (value, at, faults) => {
    if (!is(value)) {
      faults.push({ at, what: `is ${shown(value)}; it has to be ${what}` });
    }
    return value as T;
  });
}

export function text(pattern: RegExp, what: string): Check<string> {
  return check('string', what, (value) => typeof value === 'string' && pattern.test(value));
}

export function whole(least: number, most: number, unit = ''): Check<number> {
  const what = `a whole number from ${least} to ${most}${unit && ` (${unit})`}`;
  return check('number', what, (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most);
}

export function flag(): Check<boolean> {
  return check('bool', 'true or false', (value) => typeof value === 'boolean');
}

export function oneOf<T extends string | number>(...choices: T[]): Check<T> {
  const type = typeof choices[0] === 'number' ? 'number' : 'string';
  return check(type, `one of ${choices.join(', ')}`, (value) => choices.includes(value as T));
}

/** A key that may be left out or null. */
export function optional<T, D>(inside: Check<T>, otherwise: D): Check<T | D> {
  const look = (value: unknown, at: string, faults: Fault[]): T | D =>
    value === undefined || value === null ? otherwise : inside(value, at, faults);
  return of(inside.type, look, true);
}

/** A key that may be left out, and that is switched off by null. */
export function nullable<T, D>(inside: Check<T>, otherwise: D): Check<T | D | null> {
  const look = (value: unknown, at: string, faults: Fault[]): T | D | null =>
    value === null ? null : value === undefined ? otherwise : inside(value, at, faults);
  return of(inside.type, look, true);
}

export function list<T>(inside: Check<T>): Check<T[]> {
  return of(`list(${inside.type})`, (value, at, faults) => {
    if (!Array.isArray(value)) {
      faults.push({ at, what: `is ${shown(value)}; it has to be a list` });
      return [];
    }
    return value.map((item, index) => inside(item, `${at}[${index}]`, faults));
  });
}

function entries(value: unknown, at: string, faults: Fault[]): [string, unknown][] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    faults.push({ at, what: `is ${shown(value)}; it has to be an object` });
    return undefined;
  }
  return Object.entries(value);
}

const below = (at: string, key: string): string => (at === '' ? key : `${at}.${key}`);

/** An object whose keys are names. */
export function map<T>(name: RegExp, what: string, inside: Check<T>): Check<Record<string, T>> {
  return of(`map(${inside.type})`, (value, at, faults) =>
    Object.fromEntries(
      (entries(value, at, faults) ?? []).map(([key, item]) => {
        if (!name.test(key)) {
          faults.push({ at: below(at, key), what: `is not ${what}` });
        }
        return [key, inside(item, below(at, key), faults)];
      }),
    ),
  );
}

/**
 * An object with exactly these keys: one that nothing reads is a mistake that would go unnoticed. `others` are keys that
 * somebody might think of, with the reason why they are none.
 */
export function object<K extends Keys>(keys: K, others: Record<string, string> = {}): Check<Checked<K>> {
  const types = Object.entries(keys).map(([key, { type, isOptional }]) => `${key} = ${isOptional ? `optional(${type})` : type}`);
  return of(`object({ ${types.join(', ')} })`, (value, at, faults) => {
    const given = new Map(entries(value, at, faults));
    for (const key of given.keys()) {
      if (!(key in keys)) {
        const why = others[key] ?? `there is ${Object.keys(keys).join(', ')}`;
        faults.push({ at: below(at, key), what: `is read by nothing; ${why}` });
      }
    }
    return Object.fromEntries(
      Object.entries(keys).map(([key, inside]) => [key, inside(given.get(key), below(at, key), faults)]),
    ) as Checked<K>;
  });
}
