# The static page and what people upload, in private buckets behind one CloudFront distribution. The API has the page's
# own address, so that the browser asks nobody else.

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV2_AWS_6: it is below, for both buckets; checkov does not follow for_each
  # checkov:skip=CKV2_AWS_61: the same
  # checkov:skip=CKV_AWS_21: the same
  # checkov:skip=CKV_AWS_145: S3's own encryption: the page is public by CloudFront, and uploads are shown there
  # checkov:skip=CKV_AWS_18: CloudFront is the one reader, and requests are logged there by `access_log_bucket`
  # checkov:skip=CKV_AWS_144: the page can be built again at any time
  # checkov:skip=CKV2_AWS_62: nobody waits for a file
  for_each = toset(["page", "uploads"])

  bucket        = "${var.name}-${each.key}-${local.account}"
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = aws_s3_bucket.this

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  versioning_configuration {
    status = "Enabled"
  }
}

# The page is public. CloudFront would need a key of one's own to be opened to it for what everybody may read.
# trivy:ignore:AWS-0132
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id

  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_policy" "this" {
  for_each = aws_s3_bucket.this

  bucket = each.value.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsAlone", Effect = "Deny", Principal = "*", Action = "s3:*"
        Resource  = [each.value.arn, "${each.value.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Distribution", Effect = "Allow", Principal = { Service = "cloudfront.amazonaws.com" }, Action = "s3:GetObject"
        Resource  = each.key == "page" ? "${each.value.arn}/*" : "${each.value.arn}/uploads/*"
        Condition = { StringEquals = { "aws:SourceArn" = aws_cloudfront_distribution.this.arn } }
      },
      # Without the right to list, a file that is missing would look forbidden.
      {
        Sid       = "Missing", Effect = "Allow", Principal = { Service = "cloudfront.amazonaws.com" }, Action = "s3:ListBucket"
        Resource  = each.value.arn
        Condition = { StringEquals = { "aws:SourceArn" = aws_cloudfront_distribution.this.arn } }
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = var.name
  description                       = "Reads the buckets of ${var.name}"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# The page finds its own way: each address that is no file is the page.
resource "aws_cloudfront_function" "page" {
  name    = "${var.name}-page"
  comment = "Each address that is no file is the page"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = <<-JS
    function handler(event) {
      if (!event.request.uri.split('/').pop().includes('.')) {
        event.request.uri = '/200.html';
      }
      return event.request;
    }
  JS
}

locals {
  # CloudFront's own policies.
  caching_optimized      = "658327ea-f89d-4fab-a63d-7e88639e58f6"
  caching_disabled       = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_viewer_except_host = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
  security_headers       = "67f7725c-6f97-4210-82d7-5512b31e9d03"
  api_paths              = ["/api/*", "/openapi.json", "/docs*", "/health/*"]
}

resource "aws_cloudfront_distribution" "this" {
  # checkov:skip=CKV2_AWS_32: each behavior has one; checkov does not unfold the dynamic ones
  # checkov:skip=CKV_AWS_174: with a domain TLS 1.2 is the oldest; CloudFront's own certificate lets nothing be chosen
  # checkov:skip=CKV2_AWS_42: the same
  # checkov:skip=CKV_AWS_68: `web_acl_arn` names a firewall; an environment without one is a choice of the root
  # checkov:skip=CKV2_AWS_47: the same
  # checkov:skip=CKV_AWS_310: the page and the API are in one region; a second one is a second environment
  # checkov:skip=CKV_AWS_374: the app is for everybody
  # checkov:skip=CKV_AWS_86: `access_log_bucket` names a bucket; CloudFront's standard logs need one with ACLs
  enabled             = true
  comment             = var.name
  http_version        = "http2and3"
  is_ipv6_enabled     = true
  price_class         = "PriceClass_100"
  default_root_object = "200.html"
  aliases             = var.domain == null ? [] : [var.domain]
  web_acl_id          = var.web_acl_arn
  tags                = var.tags

  dynamic "origin" {
    for_each = aws_s3_bucket.this
    content {
      origin_id                = origin.key
      domain_name              = origin.value.bucket_regional_domain_name
      origin_access_control_id = aws_cloudfront_origin_access_control.this.id
    }
  }

  origin {
    origin_id   = "api"
    domain_name = trimprefix(aws_apigatewayv2_api.http.api_endpoint, "https://")

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  default_cache_behavior {
    target_origin_id           = "page"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = local.caching_optimized
    response_headers_policy_id = local.security_headers

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.page.arn
    }
  }

  ordered_cache_behavior {
    path_pattern               = "/uploads/*"
    target_origin_id           = "uploads"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = local.caching_optimized
    response_headers_policy_id = local.security_headers
  }

  dynamic "ordered_cache_behavior" {
    for_each = local.api_paths
    content {
      path_pattern             = ordered_cache_behavior.value
      target_origin_id         = "api"
      viewer_protocol_policy   = "https-only"
      allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]
      cached_methods           = ["GET", "HEAD"]
      compress                 = true
      cache_policy_id          = local.caching_disabled
      origin_request_policy_id = local.all_viewer_except_host
      # The program sets its own headers; these are for what it leaves out.
      response_headers_policy_id = local.security_headers
    }
  }

  dynamic "logging_config" {
    for_each = var.access_log_bucket[*]
    content {
      bucket = logging_config.value
      prefix = "${var.name}/"
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = var.certificate_arn
    ssl_support_method             = var.domain == null ? null : "sni-only"
    minimum_protocol_version       = var.domain == null ? "TLSv1" : "TLSv1.2_2021"
  }
}
