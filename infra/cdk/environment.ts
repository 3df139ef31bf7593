/** Makes the app of one environment; `app.ts` does so for the CDK's command line, the tests for themselves. */

import { App, type AppProps, Validations } from 'aws-cdk-lib';
import flags from 'aws-cdk-lib/recommended-feature-flags.json' with { type: 'json' };
import { AwsSolutionsChecks } from 'cdk-nag';

import type { Settings } from './settings.ts';
import { EnvironmentStack } from './stack.ts';

/** An app with the behaviour that the CDK recommends; it is here and not in cdk.json, so that tests have the same. */
export function newApp(props: AppProps = {}): App {
  return new App({ ...props, context: { ...flags, ...props.context } });
}

/** Adds the environment's stack; a finding of cdk-nag that nobody has acknowledged with a reason stops the synthesis. */
export function addEnvironment(app: App, settings: Settings, newServices: string[] = []): EnvironmentStack {
  const stack = new EnvironmentStack(app, `${settings.project}-${settings.environment}`, {
    settings,
    newServices: new Set(newServices),
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }));
  return stack;
}
