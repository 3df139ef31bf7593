# For tests and demos alone, like emulator_override.tf: the state in S3, as an emulator plays it.

terraform {
  backend "s3" {
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
  }
}
