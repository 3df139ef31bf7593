//! What `cdk diff` says, as data: which resources go, and whether data goes with them.

use serde::Serialize;

/// Types of `CloudFormation` whose resources hold data.
const STATEFUL: [&str; 16] = [
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Volume",
    "AWS::ECR::Repository",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::MSK::Cluster",
    "AWS::MSK::ServerlessCluster",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
    "AWS::SecretsManager::Secret",
    "AWS::Cognito::UserPool",
    "AWS::OpenSearchService::Domain",
];

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    Replace,
    Destroy,
    /// It stays, and is no part of the stack any more.
    Leave,
}

/// One resource that would change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    pub action: Action,
    /// Such as `AWS::DynamoDB::Table`.
    pub kind: String,
    /// Its place in the app, such as `Deploys/Table`; where the CDK has none, its id in the template.
    pub name: String,
    /// Whether it holds data that would be gone.
    pub loses: bool,
}

/// What would change.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Difference {
    pub changes: Vec<Change>,
    /// For people, without what the CDK says of itself.
    pub text: String,
    /// How many stacks differ; outputs and conditions count as well.
    pub stacks: usize,
}

impl Difference {
    /// Reads what was printed; nothing where it did not come to its end.
    pub fn read(printed: &str) -> Option<Self> {
        let plain = without_colours(printed);
        let stacks = plain.lines().find_map(|line| line.split_once("Number of stacks with differences: "))?;
        let stacks = stacks.1.trim().parse().ok()?;
        let shown = plain.lines().skip_while(|line| !line.starts_with("Stack "));
        let shown: Vec<&str> = shown.take_while(|line| !line.contains("Number of stacks with differences")).collect();
        let changes = shown.iter().filter_map(|line| change(line)).collect();
        Some(Self { changes, text: shown.join("\n").trim_end().to_owned(), stacks })
    }

    /// What holds data that would be gone: what it is, and the name that has to be typed.
    pub fn losses(&self) -> Vec<(String, &str)> {
        let losing = self.changes.iter().filter(|change| change.loses);
        losing.map(|change| (format!("{} {}", change.kind, change.name), change.name.as_str())).collect()
    }
}

/// `[~] AWS::RDS::DBInstance Database/Instance DatabaseInstance24D16791 replace`.
fn change(line: &str) -> Option<Change> {
    let (mark, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (kind, rest) = rest.split_once(' ')?;
    if !kind.contains("::") {
        return None;
    }
    let endings = [
        (" may be replaced", Action::Replace),
        (" replace", Action::Replace),
        (" destroy", Action::Destroy),
        (" orphan", Action::Leave),
    ];
    let rest = rest.trim_end();
    let ending = endings.iter().find_map(|(words, action)| Some((rest.strip_suffix(words)?, *action)));
    let (rest, action) = ending.unwrap_or((
        rest,
        match mark {
            "+" => Action::Create,
            "-" => Action::Destroy,
            _ => Action::Update,
        },
    ));
    let name = rest.rsplit_once(' ').map_or(rest, |(path, _)| path).trim();
    let loses = matches!(action, Action::Replace | Action::Destroy) && STATEFUL.contains(&kind);
    Some(Change { action, kind: kind.to_owned(), name: name.to_owned(), loses })
}

/// A person's `FORCE_COLOR` colours it whoever reads it.
fn without_colours(text: &str) -> String {
    console::strip_ansi_codes(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "(node:1) Warning: something
Hold on while we create a read-only change set

Stack rooted-prod (aws://123456789012/eu-west-1)
Parameters
[+] Parameter BootstrapVersion BootstrapVersion: {\"Type\":\"String\"}

Resources
[-] AWS::DynamoDB::Table A ACCC8ACD5 destroy
[-] AWS::DynamoDB::Table B B08E7C7AF orphan
[-] AWS::IAM::Role Task/Role TaskRole24D16791 destroy
[~] AWS::RDS::DBInstance Database/Instance DatabaseInstance24D16791 may be replaced
 └─ [~] EngineVersion (may cause replacement)
[~] \u{1b}[36mAWS::ECS::Service\u{1b}[39m Api
[+] AWS::S3::Bucket Logs Logs6819BB44


\u{2728}  Number of stacks with differences: 1
";

    #[test]
    fn what_goes_is_read_from_what_is_printed() {
        let difference = Difference::read(PRINTED).unwrap();
        let told: Vec<(Action, &str, bool)> =
            difference.changes.iter().map(|change| (change.action, change.name.as_str(), change.loses)).collect();
        assert_eq!(
            told,
            [
                (Action::Destroy, "A", true),
                (Action::Leave, "B", false),
                (Action::Destroy, "Task/Role", false),
                (Action::Replace, "Database/Instance", true),
                (Action::Update, "Api", false),
                (Action::Create, "Logs", false),
            ]
        );
        assert_eq!(difference.losses()[1], ("AWS::RDS::DBInstance Database/Instance".to_owned(), "Database/Instance"));
        assert!(difference.text.starts_with("Stack rooted-prod") && difference.text.ends_with("Logs6819BB44"));
        assert_eq!(difference.stacks, 1);
        assert_eq!(Difference::read("error: no such file\n"), None);
    }
}
