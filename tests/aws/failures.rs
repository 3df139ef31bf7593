//! What AWS refuses, in words.

use std::fs;

use super::Project;
use super::proxy::{Answer, Proxy};
use crate::support::aws::{ACCOUNT, ministack};

const PROD: &str = "environments: {prod: {region: eu-west-1}}\n";

fn configuration(name: &str) -> String {
    format!("name: {name}\n{PROD}")
}

fn json(operation: &'static str, times: usize, body: &str) -> Answer {
    Answer { operation, after: 0, times, status: 400, body: body.to_owned() }
}

#[test]
fn a_call_that_is_throttled_is_tried_again() {
    let throttled = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    let proxy = Proxy::start(&ministack().endpoint(), vec![json("PutParameter", 2, throttled)]);
    let project = Project::new(&proxy.endpoint, &configuration("throttled"));
    let ran = project.run_with(&["secrets", "set", "prod", "TOKEN"], "a-value-of-throttled");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(proxy.calls("PutParameter"), 3);
    project.never_printed(&["a-value-of-throttled"]);
}

#[test]
fn throttling_that_does_not_end_is_said() {
    let throttled = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
    let proxy = Proxy::start(&ministack().endpoint(), vec![json("GetParametersByPath", 9, throttled)]);
    let mut project = Project::new(&proxy.endpoint, &configuration("throttled"));
    project.variable("AWS_MAX_ATTEMPTS", Some("2"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!((ran.code, proxy.calls("GetParametersByPath")), (1, 2), "{}", ran.err);
    assert!(ran.err.contains("AWS throttles, also after 2 tries"), "{}", ran.err);
    assert!(ran.err.contains("request request-of-the-test"), "{}", ran.err);
}

#[test]
fn a_missing_permission_is_named_with_its_resource() {
    let message = "User: arn:aws:sts::123456789012:assumed-role/dev/ann is not authorized to perform: \
                   ssm:PutParameter on resource: arn:aws:ssm:eu-west-1:123456789012:parameter/denied/prod/TOKEN \
                   because no identity-based policy allows the ssm:PutParameter action";
    let body = format!(r#"{{"__type":"AccessDeniedException","Message":"{message}"}}"#);
    let proxy = Proxy::start(&ministack().endpoint(), vec![json("PutParameter", 9, &body)]);
    let project = Project::new(&proxy.endpoint, &configuration("denied"));
    let ran = project.run_with(&["secrets", "set", "prod", "TOKEN"], "a-value-of-denied");
    assert_eq!((ran.code, proxy.calls("PutParameter")), (1, 1));
    let expected = "error: can't write TOKEN\n  \
                    cause: the permission ssm:PutParameter on arn:aws:ssm:eu-west-1:123456789012:parameter/denied/prod/TOKEN \
                    is missing (AccessDeniedException)\n  \
                    cause: the credentials belong to arn:aws:sts::123456789012:assumed-role/dev/ann\n  \
                    cause: no identity-based policy allows the ssm:PutParameter action\n  \
                    cause: request request-of-the-test\n  \
                    hint: Allow ssm:PutParameter on arn:aws:ssm:eu-west-1:123456789012:parameter/denied/prod/TOKEN \
                    in a policy of that user or role.\n";
    assert_eq!(ran.err, expected);
    project.never_printed(&["a-value-of-denied"]);
}

#[test]
fn a_store_that_repeats_a_value_does_not_get_it_printed() {
    let body = r#"{"__type":"ValidationException","message":"1 validation error detected: Value 'a-value-of-echo' at 'value' failed to satisfy constraint"}"#;
    let proxy = Proxy::start(&ministack().endpoint(), vec![json("PutParameter", 9, body)]);
    let project = Project::new(&proxy.endpoint, &configuration("echo"));
    let ran = project.run_with(&["secrets", "set", "prod", "TOKEN"], "a-value-of-echo");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("Value '[redacted]' at"), "{}", ran.err);
    project.never_printed(&["a-value-of-echo"]);
}

#[test]
fn expired_credentials_say_how_to_log_in_again() {
    let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                <Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message>\
                </Error><RequestId>r-1</RequestId></ErrorResponse>";
    let refusal = Answer { operation: "GetCallerIdentity", after: 0, times: 9, status: 403, body: body.to_owned() };
    let proxy = Proxy::start(&ministack().endpoint(), vec![refusal]);
    let mut project = Project::new(&proxy.endpoint, &configuration("expired"));
    let config = project.folder.path().join("config");
    fs::write(&config, "[profile cinema-prod]\naws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
    project.variable("AWS_CONFIG_FILE", config.to_str());
    project.variable("AWS_PROFILE", Some("cinema-prod"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("the AWS credentials have expired (ExpiredToken)"), "{}", ran.err);
    assert!(ran.err.contains("hint: Log in: aws sso login --profile cinema-prod"), "{}", ran.err);
    assert_eq!(proxy.calls(""), 1, "nothing else was asked");
}

#[test]
fn a_token_that_expires_in_the_middle_is_told_the_same_way() {
    let body =
        r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#;
    let proxy = Proxy::start(&ministack().endpoint(), vec![json("GetParametersByPath", 9, body)]);
    let ran = Project::new(&proxy.endpoint, &configuration("expired")).run(&["secrets", "list", "prod"]);
    assert!(ran.err.contains("expired (ExpiredTokenException)") && ran.err.contains("aws sso login"), "{}", ran.err);
}

#[test]
fn an_sso_login_that_has_ended_says_how_to_log_in_again() {
    let mut project = Project::new(&ministack().endpoint(), &configuration("sso"));
    let config = project.folder.path().join("config");
    let text = "[profile corp]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n\
                region = eu-west-1\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start\n";
    fs::write(&config, text).unwrap();
    project.variable("AWS_CONFIG_FILE", config.to_str());
    project.variable("AWS_ACCESS_KEY_ID", None);
    project.variable("AWS_SECRET_ACCESS_KEY", None);
    project.variable("AWS_PROFILE", Some("corp"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("cause: the login has expired, or is not there, as the profile corp"), "{}", ran.err);
    assert!(ran.err.contains("hint: Log in: aws sso login --profile corp"), "{}", ran.err);
}

#[test]
fn without_credentials_or_with_an_unknown_profile_nothing_is_asked() {
    let proxy = Proxy::start(&ministack().endpoint(), Vec::new());
    let mut project = Project::new(&proxy.endpoint, &configuration("nobody"));
    project.variable("AWS_ACCESS_KEY_ID", None);
    project.variable("AWS_SECRET_ACCESS_KEY", None);
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("there are no AWS credentials"), "{}", ran.err);

    let config = project.folder.path().join("config");
    fs::write(&config, "[profile prod]\nregion = eu-west-1\n[default]\n").unwrap();
    project.variable("AWS_CONFIG_FILE", config.to_str());
    project.variable("AWS_PROFILE", Some("prd"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("there is no AWS profile `prd`"), "{}", ran.err);
    assert!(ran.err.contains("There is default, prod."), "{}", ran.err);
    assert_eq!(proxy.calls(""), 0);
}

#[test]
fn credentials_of_another_account_are_stopped_before_anything_happens() {
    let proxy = Proxy::start(&ministack().endpoint(), Vec::new());
    let text = "name: other\nenvironments: {prod: {region: eu-west-1, account: '999999999999'}}\n";
    let project = Project::new(&proxy.endpoint, text);
    let ran = project.run_with(&["secrets", "set", "prod", "TOKEN"], "a-value-of-other");
    assert_eq!(ran.code, 1);
    let said =
        format!("these credentials are for the AWS account {ACCOUNT}, and the environment `prod` is in 999999999999");
    assert!(ran.err.contains(&said), "{}", ran.err);
    assert_eq!((proxy.calls("GetCallerIdentity"), proxy.calls("")), (1, 1));
}

#[test]
fn an_endpoint_that_does_not_answer_and_a_region_that_is_none_exit_with_4() {
    let mut project = Project::new("http://127.0.0.1:9", &configuration("nowhere"));
    project.variable("AWS_MAX_ATTEMPTS", Some("1"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("AWS_ENDPOINT_URL says that AWS is at http://127.0.0.1:9"), "{}", ran.err);

    // Names below `.invalid` are never found (RFC 2606); a region that is none gives such a name too.
    let mut project =
        Project::new("http://sts.eu-wets-9.invalid", "name: x\nenvironments: {prod: {region: eu-wets-9}}\n");
    project.variable("AWS_MAX_ATTEMPTS", Some("1"));
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 4, "{}", ran.err);

    let mut project = Project::new(&ministack().endpoint(), "name: x\nenvironments: {prod: {}}\n");
    project.variable("AWS_REGION", None);
    let ran = project.run(&["secrets", "list", "prod"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("Set environments.prod.region in streamify.yaml, or AWS_REGION."), "{}", ran.err);
}

#[test]
fn one_service_can_be_elsewhere_and_the_override_goes_before_all() {
    let proxy = Proxy::start(&ministack().endpoint(), Vec::new());
    let mut project = Project::new("http://127.0.0.1:9", &configuration("elsewhere"));
    project.variable("AWS_MAX_ATTEMPTS", Some("1"));
    for service in ["STS", "SSM", "SECRETS_MANAGER"] {
        project.variable(&format!("AWS_ENDPOINT_URL_{service}"), Some(&proxy.endpoint));
    }
    project.good(&["secrets", "list", "prod"]);
    project.variable("AWS_ENDPOINT_URL_SSM", Some("http://127.0.0.1:9"));
    assert_eq!(project.run(&["secrets", "list", "prod"]).code, 4);
    project.variable("STREAMIFY_AWS_ENDPOINT", Some(&proxy.endpoint));
    project.good(&["secrets", "list", "prod"]);
}
