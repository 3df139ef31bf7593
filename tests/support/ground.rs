//! What Terraform makes before anything is deployed, made in an emulator by plain calls.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use serde_json::json;

use super::aws::REGION;

/// What clients for an emulator are made of.
pub fn clients(endpoint: &str) -> SdkConfig {
    let loaded = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .test_credentials()
        .load();
    // It only looks at files: any runtime does.
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(loaded)
}

/// A query of EC2 or IAM, as their SDKs would send it; gives the text in the element of this name.
pub async fn query(endpoint: &str, service: &str, form: &str, element: &str) -> String {
    let scope = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request");
    let request = reqwest::Client::new()
        .post(endpoint)
        .header("authorization", format!("{scope}, SignedHeaders=host, Signature=0"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    let text = request.send().await.unwrap().text().await.unwrap();
    let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let found = document.descendants().find(|node| node.tag_name().name() == element);
    let found = found.unwrap_or_else(|| panic!("no {element} in {text}"));
    let texts = found.descendants().filter_map(|node| node.text()).map(str::trim).filter(|text| !text.is_empty());
    let mut texts: Vec<&str> = texts.collect();
    texts.dedup();
    texts.join(" ")
}

/// Ids of a network with two subnets, and of a security group that lets in port 3001.
pub struct Network {
    pub id: String,
    pub subnets: Vec<String>,
    pub group: String,
}

impl Network {
    pub async fn make(endpoint: &str) -> Self {
        let ec2 =
            async |form: String, element| query(endpoint, "ec2", &format!("{form}&Version=2016-11-15"), element).await;
        let id = ec2("Action=CreateVpc&CidrBlock=10.7.0.0/16".into(), "vpcId").await;
        let mut subnets = Vec::new();
        for (index, zone) in ["a", "b"].into_iter().enumerate() {
            let form =
                format!("Action=CreateSubnet&VpcId={id}&CidrBlock=10.7.{index}.0/24&AvailabilityZone={REGION}{zone}");
            subnets.push(ec2(form, "subnetId").await);
        }
        let mut network = Self { id, subnets, group: String::new() };
        network.group = network.group(endpoint, "backend", 3001).await;
        network
    }

    /// A security group that lets in one port; gives its id.
    pub async fn group(&self, endpoint: &str, name: &str, port: u16) -> String {
        let ec2 =
            async |form: String, element| query(endpoint, "ec2", &format!("{form}&Version=2016-11-15"), element).await;
        let id = &self.id;
        let group = format!("Action=CreateSecurityGroup&VpcId={id}&GroupName={name}&GroupDescription={name}");
        let group = ec2(group, "groupId").await;
        let rule = format!(
            "Action=AuthorizeSecurityGroupIngress&GroupId={group}&IpPermissions.1.IpProtocol=tcp\
             &IpPermissions.1.FromPort={port}&IpPermissions.1.ToPort={port}\
             &IpPermissions.1.IpRanges.1.CidrIp=10.7.0.0/16"
        );
        ec2(rule, "return").await;
        group
    }
}

/// A role that a service of AWS may take, such as `ecs-tasks`.
pub async fn role(endpoint: &str, name: &str, who: &str) {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
                         "Principal": { "Service": format!("{who}.amazonaws.com") } }] });
    let policy: Vec<String> = policy.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let policy = policy.concat();
    let form = format!("Action=CreateRole&Version=2010-05-08&RoleName={name}&AssumeRolePolicyDocument={policy}");
    query(endpoint, "iam", &form, "Arn").await;
}

/// A log group.
pub async fn log_group(config: &SdkConfig, name: &str) {
    aws_sdk_cloudwatchlogs::Client::new(config).create_log_group().log_group_name(name).send().await.unwrap();
}

/// A target group for HTTP on this network, with a load balancer that leads to it; gives its ARN.
pub async fn target_group(config: &SdkConfig, network: &Network, name: &str, health_path: &str) -> String {
    use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ProtocolEnum, TargetTypeEnum};
    let balancers = aws_sdk_elasticloadbalancingv2::Client::new(config);
    let target = balancers
        .create_target_group()
        .name(name)
        .protocol(ProtocolEnum::Http)
        .port(80)
        .vpc_id(&network.id)
        .target_type(TargetTypeEnum::Ip)
        .health_check_path(health_path);
    let target = target.send().await.unwrap().target_groups.unwrap().remove(0).target_group_arn.unwrap();
    let balancer =
        balancers.create_load_balancer().name(name).set_subnets(Some(network.subnets.clone())).send().await.unwrap();
    let balancer = balancer.load_balancers.unwrap().remove(0).load_balancer_arn.unwrap();
    let forward = Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&target).build();
    let listener = balancers.create_listener().load_balancer_arn(balancer).protocol(ProtocolEnum::Http).port(80);
    listener.default_actions(forward).send().await.unwrap();
    target
}
