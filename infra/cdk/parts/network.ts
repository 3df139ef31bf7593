import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

import { acknowledge } from '../acknowledge.ts';
import type { Key } from './key.ts';

interface Props {
  readonly name: string;
  readonly key: Key;
  readonly zones: number;
  /** The block of addresses, of /16 to /19. */
  readonly cidr: string;
  /** One NAT gateway: cheap, and away when its zone is. */
  readonly singleNat: boolean;
  /** Whether AWS's services have private ways. */
  readonly endpoints: boolean;
  readonly retention: logs.RetentionDays;
}

/** AWS's services that tasks speak to. With a private way each, images and secrets don't pass the NAT gateways. */
const SERVICES: Record<string, ec2.InterfaceVpcEndpointAwsService> = {
  EcrApi: ec2.InterfaceVpcEndpointAwsService.ECR,
  EcrDocker: ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
  Logs: ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
  SecretsManager: ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
  Ssm: ec2.InterfaceVpcEndpointAwsService.SSM,
  SsmMessages: ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES,
};

/** The VPC over two or three zones: public, private and database subnets, NAT, ways to AWS's services, flow logs. */
export class Network extends Construct {
  readonly vpc: ec2.Vpc;

  constructor(scope: Construct, id: string, props: Props) {
    super(scope, id);
    const size = Number(props.cidr.split('/')[1]);
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      vpcName: props.name,
      ipAddresses: ec2.IpAddresses.cidr(props.cidr),
      maxAzs: props.zones,
      natGateways: props.singleNat ? 1 : props.zones,
      // It would take a function of its own to empty the default group; nothing is in it.
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: size + 8, mapPublicIpOnLaunch: false },
        // A rollout runs old and new tasks side by side, each with an address of its own.
        { name: 'private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: size + 4 },
        { name: 'database', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: size + 8 },
      ],
    });
    this.vpc.addFlowLog('FlowLog', {
      destination: ec2.FlowLogDestination.toCloudWatchLogs(
        props.key.logGroup(this, 'FlowLogs', 'network/flow', props.retention),
      ),
    });
    // Free of charge; image layers come from S3, and the lock and history of deploys are in DynamoDB.
    this.vpc.addGatewayEndpoint('S3', { service: ec2.GatewayVpcEndpointAwsService.S3 });
    this.vpc.addGatewayEndpoint('DynamoDb', { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB });
    if (props.endpoints) {
      this.endpoints(props.cidr);
    }
  }

  /** Public addresses that tasks are seen by from outside. */
  get natAddresses(): string[] {
    const addresses = this.vpc.publicSubnets.map((subnet) => subnet.node.tryFindChild('EIP') as ec2.CfnEIP | undefined);
    return addresses.flatMap((address) => (address ? [address.ref] : []));
  }

  private endpoints(cidr: string): void {
    const group = new ec2.SecurityGroup(this, 'Endpoints', {
      vpc: this.vpc,
      description: 'Private ways to AWS services',
      allowAllOutbound: false,
    });
    group.addIngressRule(ec2.Peer.ipv4(cidr), ec2.Port.tcp(443), 'HTTPS from the VPC');
    for (const [id, service] of Object.entries(SERVICES)) {
      this.vpc.addInterfaceEndpoint(id, {
        service,
        securityGroups: [group],
        open: false,
        subnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      });
    }
  }
}

/** The bucket of the load balancer's access logs. */
export function accessLogs(scope: Construct, id: string, days: number): s3.Bucket {
  const bucket = new s3.Bucket(scope, id, {
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    // The one kind of encryption that load balancers write with.
    encryption: s3.BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    lifecycleRules: [{ expiration: Duration.days(days), abortIncompleteMultipartUploadAfter: Duration.days(1) }],
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    removalPolicy: RemovalPolicy.RETAIN,
    versioned: true,
  });
  acknowledge(bucket, { S1: 'It holds access logs itself; logs of who reads logs would go on without an end.' });
  return bucket;
}
