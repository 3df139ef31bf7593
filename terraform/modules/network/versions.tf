terraform {
  # 1.10 brought the native lock file of the S3 backend, 1.9 conditions that look at other variables.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.47"
    }
  }
}
